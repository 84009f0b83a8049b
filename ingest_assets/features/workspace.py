"""Read a workspace's new transcripts: each conversation is one transaction, paid for once.

    pending, newest first -> within the budget -> conversation.py -> [row of features]

Every answer and every failed try leaves a row in `features.model_requests`, in a transaction of its own at once.
A conversation that fails goes behind the others and is asked again with growing pauses; only what several in a row
meet, or all of a run, is the endpoint's.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row

from ingest_assets.features import conversation, prompt
from ingest_assets.features.answer import FINAL, Asked, Rejected, Usage
from ingest_assets.features.batches import MOST_BYTES, MOST_REQUESTS, Answered, Batches, name_of
from ingest_assets.features.budget import Budget, dollars, next_start
from ingest_assets.features.client import (
    STOP_PAUSE,
    TRIES,
    LanguageModel,
    ModelBusy,
    ModelStopped,
    TooLong,
    Unanswered,
)
from ingest_assets.features.kinds import Featured
from ingest_assets.features.model import digest
from ingest_assets.features.parts import parts
from ingest_assets.features.report import (
    BUDGET_SPENT,
    FAILED,
    MODEL_DOWN,
    MODEL_REFUSED,
    PARTIAL,
    QUOTA_SPENT,
    Report,
)
from ingest_assets.features.request import Endpoint
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.login import Clock
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.transcript import Transcript
from ingest_assets.sources.values import storable_text
from ingest_assets.storage import features as storage
from ingest_assets.storage.leases import NamedLease

ATTEMPTS = 3  # of a conversation whose answer could not be used, in different runs
IN_A_ROW = 5  # conversations that fail one after the other: then it is the endpoint, whatever is the matter
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(days=1)  # of a conversation that fails
FIRST_WAIT, LONGEST_WAIT = (
    timedelta(minutes=1),
    timedelta(hours=1),
)  # of a workspace where all that was asked fails
LIKELY_ANSWER = 1_500  # tokens, for the budget until the answer is there
TAKEN_OVER = "Another run took this workspace's conversations over."
UNREADABLE = "the stored transcript does not have the form that the vendor documents"


class Stop(NamedTuple):
    """Why nothing more is asked in a run."""

    status: str
    reason: str
    until: datetime
    """When to go on."""
    outcome: str
    """As `features.model_requests` keeps it."""


class Workspace:
    """One workspace's extraction under way."""

    def __init__(
        self,
        engine: Engine,
        settings: ModelSettings,
        kind: Featured,
        workspace_id: str,
        *,
        held: NamedLease,
        owner: str,
        clock: Clock,
        endpoint: Endpoint,
    ) -> None:
        self.engine, self.settings, self.kind, self.workspace_id = engine, settings, kind, workspace_id
        self.held, self.owner, self.clock, self.endpoint = held, owner, clock, endpoint
        self.version = prompt.version(settings.model)
        self.question = prompt.question(settings.model)
        self.report = Report(workspace_id)
        self.stopped: Stop | None = None
        self.budget = Budget.load(settings, engine, workspace_id, clock.now())
        self.answered = False
        self._failing: list[tuple[dict[str, Any], Unanswered]] = []
        """Conversations that failed while nothing was answered: it may be the endpoint."""
        self._in_a_row = 0

    async def run(self) -> Report:
        now = self.clock.now()
        with self.engine.connect() as conn:
            waiting = storage.pending(
                conn, self.kind.records, self.kind.table, self.version, self.workspace_id, now
            )
            self.report.postponed = storage.postponed(conn, self.kind.table, self.version, self.workspace_id, now)
        self.report.remaining = len(waiting)
        async with LanguageModel.open(self.settings, self.clock, self.endpoint) as model:
            await self._all(model, waiting)
            self.report.requests = model.requests
        shape = self.endpoint.shape
        self.report.format, self.report.shed = shape.format_name if self.report.requests else None, shape.shed
        self.report.usage = self.budget.used
        await self._conclude()
        return self.report

    async def _conclude(self) -> None:
        """Return why something remains, and when to go on."""
        if self.stopped is None and self._failing:
            self.stopped = self._endpoint_result()
        for values, _error in self._failing:
            await self._save(values, remains=True)
        if self.stopped is not None:
            self.report.status, reason, until, outcome = self.stopped
            self.report.reason = f"{reason} {self.report.remaining} remain." if self.report.remaining else reason
            await self._note(None, outcome, Usage(), until)
        elif self.report.unanswered:
            self.report.status = PARTIAL
            self.report.reason = f"{self.report.reason} {self.report.unanswered} remain and are asked again later."
        elif self.report.postponed:
            self.report.reason = f"{self.report.postponed} failed in earlier runs and are asked again later."

    def _endpoint_result(self) -> Stop:
        """Return why to stop, where all that was asked failed."""
        _values, error = self._failing[-1]
        failures = min(values["failures"] for values, _error in self._failing)
        wait = _growing(FIRST_WAIT, LONGEST_WAIT, failures)
        if error.refused:
            return Stop(FAILED, str(error), self.clock.now() + max(wait, STOP_PAUSE), MODEL_REFUSED)
        until = self.clock.now() + wait
        return Stop(PARTIAL, f"{error} A run after {until:%H:%M} UTC goes on.", until, MODEL_DOWN)

    async def _directly(self, model: LanguageModel, waiting: Sequence[str]) -> None:
        queue = iter(waiting)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.parallel, len(waiting))):
                    group.create_task(self._work(model, queue))
        except BaseExceptionGroup as errors:  # the first says it all: the database went away, say
            raise errors.exceptions[0] from None

    async def _all(self, model: LanguageModel, waiting: Sequence[str]) -> None:
        """Read what batches have answered, then ask what nobody has asked yet, directly or by a batch."""
        by_batch = self.settings.mode == "batch"
        batches = Batches(model, self.engine, self.workspace_id, self.kind.source.name)
        try:
            await batches.collect()
            if not by_batch and not batches.any:
                await self._directly(model, waiting)
                return
            self.budget.reserved += batches.estimated
            answered, unasked = await self._sorted(batches, waiting)
            await self._directly(Answered(model, batches.answers), answered)
            if self.stopped is None:
                batches.close()
            if by_batch:
                await self._send(batches, unasked)
            else:
                await self._directly(model, list(unasked))
        except ModelBusy as error:
            self.stopped = self.stopped or Stop(PARTIAL, str(error), error.until, MODEL_DOWN)
        except Unanswered as error:
            status, wait, outcome = (
                (FAILED, STOP_PAUSE, MODEL_REFUSED) if error.refused else (PARTIAL, FIRST_WAIT, MODEL_DOWN)
            )
            self.stopped = self.stopped or Stop(status, str(error), self.clock.now() + wait, outcome)
        except ModelStopped as error:
            self.stopped = self._refusal(error)

    async def _sorted(
        self, batches: Batches, waiting: Sequence[str]
    ) -> tuple[list[str], dict[str, list[list[dict[str, Any]]]]]:
        """Tell what can be read now, and what has to be asked, by conversation."""
        answered: list[str] = []
        unasked: dict[str, list[list[dict[str, Any]]]] = {}
        for external_id in waiting:
            row, before = await asyncio.to_thread(self._load, external_id)
            try:
                transcript = self.kind.transcript(row.raw if row is not None else {})
            except UNPARSEABLE:
                answered.append(external_id)  # to be rejected, which takes no answer
                continue
            lines = prompt.written(transcript)
            asked = [prompt.messages(transcript.title, part) for part in parts(lines, self.settings.part_tokens)]
            known = before is not None and before.transcript_key == digest(self.question, transcript.title, *lines)
            if known or all(name_of(messages) in batches.answers for messages in asked):
                answered.append(external_id)
            elif external_id in batches.under_way:
                self.report.waiting += 1
            else:
                unasked[external_id] = asked
        return answered, unasked

    async def _send(self, batches: Batches, unasked: dict[str, list[list[dict[str, Any]]]]) -> None:
        """Submit a batch within the budget and the vendor's limits; what is left over comes next time."""
        chosen: list[str] = []
        asked: list[list[dict[str, Any]]] = []
        size, total = 0, Usage()
        for external_id, requests in unasked.items():
            size += sum(len(message["content"].encode("utf-8", "replace")) for one in requests for message in one)
            estimate = Usage(sum(Asked.of(one).prompt for one in requests), LIKELY_ANSWER * len(requests))
            if len(asked) + len(requests) > MOST_REQUESTS or size > MOST_BYTES or not self._reserve(estimate):
                break
            total += estimate
            chosen.append(external_id)
            asked += requests
        if chosen:
            await batches.submit(asked, chosen, total)
            self.report.submitted = len(chosen)

    def _refusal(self, error: ModelStopped) -> Stop:
        outcome = QUOTA_SPENT if error.quota else MODEL_REFUSED
        return Stop(FAILED, str(error), self.clock.now() + STOP_PAUSE, outcome)

    def _reserve(self, estimate: Usage) -> bool:
        limit = self.budget.reserve(estimate)
        if limit is not None:
            now = self.clock.now()
            until = next_start(limit, now)
            self.stopped = self.stopped or Stop(PARTIAL, f"{limit} is reached.", until, BUDGET_SPENT)
        return limit is None

    async def _work(self, model: LanguageModel, queue: Iterator[str]) -> None:
        for external_id in queue:
            if self.held.lost:
                self.stopped = self.stopped or Stop(PARTIAL, TAKEN_OVER, self.clock.now(), PARTIAL)
            if self.stopped is None:
                await self._conversation(model, external_id)

    async def _conversation(self, model: LanguageModel, external_id: str) -> None:
        row, before = await asyncio.to_thread(self._load, external_id)
        if row is None:
            return
        tried: dict[str, Any] = {
            "workspace_id": self.workspace_id,
            "external_id": external_id,
            "occurred_at": row.occurred_at,
            "title": "",
            "version": self.version,
            "record_hash": row.content_hash,
            "retry_at": None,
        }
        try:
            transcript = self.kind.transcript(row.raw)
        except UNPARSEABLE:
            await self._save(tried | {"state": storage.REJECTED, "reason": UNREADABLE, "attempts": 1})
            self.report.rejected += 1
            return
        tried["title"] = storable_text(transcript.title)
        lines = prompt.written(transcript)
        if before is not None and before.transcript_key == digest(self.question, transcript.title, *lines):
            await self._save(tried | _READY)
            self.report.unchanged += 1
            return
        same = before is not None and (before.version, before.record_hash) == (self.version, row.content_hash)
        await self._read(model, tried, transcript, lines, before if same else None)

    async def _read(
        self,
        model: LanguageModel,
        tried: dict[str, Any],
        transcript: Transcript,
        lines: Sequence[str],
        before: Row[Any] | None,
    ) -> None:
        """Ask about a conversation. `before`: what became of it, as it is, in earlier runs."""
        attempts, failures = (before.attempts, before.failures) if before is not None else (0, 0)
        tries = TRIES if self._in_a_row == 0 and failures == 0 else 1
        request = partial(self._request, model, tried["external_id"], tries)
        try:
            reading = await conversation.read(transcript, lines, self.settings.part_tokens, request)
            if reading is not None:
                await self._found(tried, digest(self.question, transcript.title, *lines), reading)
        except (Rejected, TooLong) as error:
            await self._rejected(tried, error, attempts + 1)
        except Unanswered as error:
            await self._unanswered(tried | {"attempts": attempts, "failures": failures + 1}, error)
        except ModelBusy as error:
            self.stopped = self.stopped or Stop(PARTIAL, str(error), error.until, MODEL_DOWN)
        except ModelStopped as error:
            self.stopped = self._refusal(error)

    async def _found(self, tried: dict[str, Any], key: str, reading: conversation.Reading) -> None:
        found = {"transcript_key": key, "model": self.settings.model, "extracted_at": self.clock.now()}
        await self._save(tried | _READY | found | reading.columns())
        self.report.extracted += 1
        self.report.dropped += reading.dropped
        self.report.malformed += reading.malformed
        self.report.kinds.update(one.kind for one in reading.features.values())

    async def _rejected(self, tried: dict[str, Any], error: Rejected | TooLong, attempts: int) -> None:
        again = isinstance(error, Rejected) and error.outcome not in FINAL and attempts < ATTEMPTS
        state = storage.RETRY if again else storage.REJECTED
        await self._save(tried | {"state": state, "reason": str(error), "attempts": attempts, "failures": 0})
        self.report.rejected += 1

    async def _unanswered(self, tried: dict[str, Any], error: Unanswered) -> None:
        """Put a conversation behind the others; stop where several in a row fail."""
        self._failing.append((tried | {"state": storage.RETRY, "reason": str(error)}, error))
        self.report.unanswered += 1
        self.report.reason = str(error)
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self.stopped = self.stopped or self._endpoint_result()
        elif self.answered:
            await self._postpone()

    async def _postpone(self) -> None:
        """Set pauses for the conversations that failed, since the endpoint answers."""
        failing, self._failing = self._failing, []
        for values, _error in failing:
            pause = _growing(FIRST_PAUSE, LONGEST_PAUSE, values["failures"])
            await self._save(values | {"retry_at": self.clock.now() + pause}, remains=True)

    async def _request(
        self, model: LanguageModel, external_id: str, tries: int, asked: list[dict[str, Any]]
    ) -> str | None:
        known = model.holds(asked)
        estimate = Usage() if known else Usage(self.endpoint.expected(Asked.of(asked).prompt), LIKELY_ANSWER)
        if not known and not self._reserve(estimate):
            return None
        usage = Usage()
        try:
            content, usage = await model.ask(asked, partial(self._failed, external_id), tries=tries)
        except Rejected as error:
            usage = error.usage
            await self._note(external_id, error.outcome, usage)
            await self._endpoint_answered(error.usage)
            raise
        except TooLong:
            await self._endpoint_answered(Usage())
            raise
        finally:
            self.budget.settle(estimate, usage)
        await self._note(external_id, "answered", usage)
        await self._endpoint_answered(usage)
        return content

    async def _endpoint_answered(self, usage: Usage) -> None:
        """Note that the endpoint works: what failed before was the conversations' own."""
        self._in_a_row = 0
        if usage.total:
            self.answered = True
            await self._postpone()

    async def _failed(self, external_id: str, outcome: str, usage: Usage) -> None:
        """Count a try that was not answered."""
        self.budget.used += usage
        await self._note(external_id, outcome, usage)

    def _load(self, external_id: str) -> tuple[Row[Any] | None, Row[Any] | None]:
        with self.engine.connect() as conn:
            return (
                storage.load(conn, self.kind.records, self.workspace_id, external_id),
                storage.stored(conn, self.kind.table, self.workspace_id, external_id),
            )

    async def _save(self, values: dict[str, Any], *, remains: bool = False) -> None:
        await asyncio.to_thread(self._write, values)
        self.report.remaining -= not remains

    def _write(self, values: dict[str, Any]) -> None:
        with self.engine.begin() as conn:
            storage.save(conn, self.kind.table, values)

    async def _note(
        self, external_id: str | None, outcome: str, usage: Usage, wait_until: datetime | None = None
    ) -> None:
        cost = dollars(self.settings, usage)
        self.report.dollars += float(cost)
        noted = {
            "workspace_id": self.workspace_id,
            "source": self.kind.source.name,
            "external_id": external_id,
            "owner": self.owner,
            "outcome": outcome,
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "dollars": cost,
            "made_at": self.clock.now(),
            "wait_until": wait_until,
        }
        await asyncio.to_thread(self._keep, noted)

    def _keep(self, noted: dict[str, Any]) -> None:
        with self.engine.begin() as conn:
            storage.save_request(conn, noted)


_READY: dict[str, Any] = {"state": storage.READY, "reason": None, "attempts": 0, "failures": 0}


def _growing(first: timedelta, longest: timedelta, failures: int) -> timedelta:
    """Double a pause with each failure in a row."""
    return longest if failures > 16 else min(longest, first * 2 ** (failures - 1))
