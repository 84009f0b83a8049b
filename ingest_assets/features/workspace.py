"""Read a workspace's new transcripts: each conversation is one transaction, paid for once.

    pending, newest first -> within the budget -> conversation.py -> [row of features]

Every answer and every failed try leaves a row in `features.model_requests`, in a transaction of its own at once.
A conversation that fails goes behind the others and is asked again with growing pauses; only what several in a row
meet, or all of a run, is the endpoint's.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from ingest_assets.features import conversation
from ingest_assets.features.answer import FINAL, Asked, Rejected, Usage
from ingest_assets.features.batches import Answered, Batches
from ingest_assets.features.budget import LIKELY_ANSWER
from ingest_assets.features.client import TRIES, LanguageModel, TooLong, Unanswered
from ingest_assets.features.failing import Failing
from ingest_assets.features.ledger import Ledger, Stored
from ingest_assets.features.next_batch import NextBatch
from ingest_assets.features.report import PARTIAL, Report
from ingest_assets.features.request import Endpoint
from ingest_assets.features.stop import STOPPING, Stop, stop_of
from ingest_assets.sources.transcript import Transcript
from ingest_assets.sources.values import storable_text
from ingest_assets.storage.features import READY, REJECTED, RETRY
from ingest_assets.storage.leases import NamedLease
from ingest_assets.storage.schema import Columns

ATTEMPTS = 3  # of a conversation whose answer could not be used, in different runs
TAKEN_OVER = "Another run took this workspace's conversations over."
UNREADABLE = "the stored transcript does not have the form that the vendor documents"
DONE: Columns = {"state": READY, "reason": None, "attempts": 0, "failures": 0}


class Workspace:
    """One workspace's extraction under way."""

    def __init__(self, ledger: Ledger, *, lease: NamedLease, endpoint: Endpoint) -> None:
        self.ledger, self.settings, self.lease, self.endpoint = ledger, ledger.settings, lease, endpoint
        self.report = Report(ledger.workspace_id)
        self.stopped: Stop | None = None
        self.budget = ledger.budget()
        self.failing = Failing(partial(self._save, remains=True), ledger.clock)

    async def run(self) -> Report:
        pending, self.report.postponed = self.ledger.pending()
        self.report.remaining = len(pending)
        async with LanguageModel.open(self.settings, self.ledger.clock, self.endpoint) as model:
            try:
                await self._all(model, pending)
            except (*STOPPING, Unanswered) as error:
                self._stop(stop_of(error, self.ledger.clock.now()))
            self.report.requests = model.requests
        shape = self.endpoint.shape
        self.report.format, self.report.shed = shape.format_name if self.report.requests else None, shape.shed
        self.report.usage = self.budget.used
        await self._conclude()
        return self.report

    async def _conclude(self) -> None:
        """Set the report's status, its reason, and the time of the next run."""
        self._stop(await self.failing.conclude())
        if self.stopped is not None:
            self.report.status, reason, until, outcome = self.stopped
            self.report.reason = f"{reason} {self.report.remaining} remain." if self.report.remaining else reason
            await self.ledger.note(None, outcome, Usage(), until)
        elif self.report.unanswered:
            self.report.status = PARTIAL
            self.report.reason = f"{self.report.reason} {self.report.unanswered} remain and are asked again later."
        elif self.report.postponed:
            self.report.reason = f"{self.report.postponed} failed in earlier runs and are asked again later."

    def _stop(self, stop: Stop | None) -> None:
        """Ask nothing more; the first reason stays."""
        self.stopped = self.stopped or stop

    async def _all(self, model: LanguageModel, pending: Sequence[str]) -> None:
        """Read the answers of OpenAI batches, then request the rest, directly or by the next batch."""
        by_batch = self.settings.mode == "batch"
        batches = Batches(model, self.ledger.engine, self.ledger.workspace_id, self.ledger.kind.source.name)
        await batches.collect()
        if not by_batch and not batches.any:
            await self._directly(model, pending)
            return
        self.budget.reserved += batches.estimated
        plan = await NextBatch.of(self.ledger, batches, pending)
        self.report.waiting = plan.waiting
        await self._directly(Answered(model, batches.answers), plan.answered)
        if self.stopped is None:
            batches.close()
        if not by_batch:
            await self._directly(model, list(plan.unasked))
        else:
            self.report.submitted, spent = await plan.send(self.budget)
            self._stop(stop_of(spent, self.ledger.clock.now()) if spent is not None else None)

    async def _directly(self, model: LanguageModel, pending: Sequence[str]) -> None:
        queue = iter(pending)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.parallel, len(pending))):
                    group.create_task(self._work(model, queue))
        except BaseExceptionGroup as errors:  # the first says it all: the database went away, say
            raise errors.exceptions[0] from None

    async def _work(self, model: LanguageModel, queue: Iterator[str]) -> None:
        for external_id in queue:
            if self.lease.lost:
                self._stop(Stop(PARTIAL, TAKEN_OVER, self.ledger.clock.now(), PARTIAL))
            if self.stopped is None and (stored := await self.ledger.load(external_id)) is not None:
                await self._conversation(model, external_id, stored)

    async def _conversation(self, model: LanguageModel, external_id: str, stored: Stored) -> None:
        tried: Columns = {
            "workspace_id": self.ledger.workspace_id,
            "external_id": external_id,
            "occurred_at": stored.row.occurred_at,
            "title": storable_text(stored.transcript.title) if stored.transcript else "",
            "version": self.ledger.version,
            "record_hash": stored.row.content_hash,
            "retry_at": None,
        }
        if stored.transcript is None:
            await self._save(tried | {"state": REJECTED, "reason": UNREADABLE, "attempts": 1})
            self.report.rejected += 1
        elif stored.known:
            await self._save(tried | DONE)
            self.report.unchanged += 1
        else:
            await self._read(model, tried, stored, stored.transcript)

    async def _read(self, model: LanguageModel, tried: Columns, stored: Stored, transcript: Transcript) -> None:
        """Ask about a conversation, and store what comes of it."""
        attempts, failures = stored.tried(tried["version"])
        tries = TRIES if self.failing.in_a_row == 0 and failures == 0 else 1
        request = partial(self._request, model, tried["external_id"], tries)
        try:
            reading = await conversation.read(transcript, stored.lines, self.settings.part_tokens, request)
        except (Rejected, TooLong) as error:
            await self._rejected(tried, error, attempts + 1)
        except Unanswered as error:
            self.report.unanswered += 1
            self.report.reason = str(error)
            failed = tried | {"state": RETRY, "attempts": attempts, "failures": failures + 1}
            self._stop(await self.failing.add(failed, error))
        except STOPPING as error:
            self._stop(stop_of(error, self.ledger.clock.now()))
        else:
            await self._found(tried, stored.key, reading)

    async def _found(self, tried: Columns, key: str, reading: conversation.Reading) -> None:
        found = {"transcript_key": key, "model": self.settings.model, "extracted_at": self.ledger.clock.now()}
        await self._save(tried | DONE | found | reading.columns())
        self.report.extracted += 1
        self.report.dropped += reading.dropped
        self.report.malformed += reading.malformed
        self.report.kinds.update(feature.kind for feature in reading.features.values())

    async def _rejected(self, tried: Columns, error: Rejected | TooLong, attempts: int) -> None:
        again = isinstance(error, Rejected) and error.outcome not in FINAL and attempts < ATTEMPTS
        state = RETRY if again else REJECTED
        await self._save(tried | {"state": state, "reason": str(error), "attempts": attempts, "failures": 0})
        self.report.rejected += 1

    async def _request(self, model: LanguageModel, external_id: str, tries: int, messages: list[Columns]) -> str:
        """Make a request within the budget, and keep what it came to."""
        estimate = Usage()
        if not model.holds(messages):
            estimate = Usage(self.endpoint.expected(Asked.of(messages).prompt), LIKELY_ANSWER)
            self.budget.reserve(estimate, self.ledger.clock.now())
        usage = Usage()
        try:
            content, usage = await model.ask(messages, partial(self._failed, external_id), tries=tries)
        except Rejected as error:
            usage = error.usage
            await self._note(external_id, error.outcome, usage)
            await self.failing.answered(whole=usage.total > 0)
            raise
        except TooLong:
            await self.failing.answered(whole=False)
            raise
        finally:
            self.budget.settle(estimate, usage)
        await self._note(external_id, "answered", usage)
        await self.failing.answered(whole=usage.total > 0)
        return content

    async def _failed(self, external_id: str, outcome: str, usage: Usage) -> None:
        """Count a try that was not answered."""
        self.budget.used += usage
        await self._note(external_id, outcome, usage)

    async def _note(self, external_id: str, outcome: str, usage: Usage) -> None:
        cost = await self.ledger.note(external_id, outcome, usage)
        self.report.dollars += cost  # not in one line: others add theirs while we wait

    async def _save(self, values: Columns, *, remains: bool = False) -> None:
        await self.ledger.save(values)
        self.report.remaining -= not remains
