"""Read a workspace's new transcripts: each conversation is one transaction, paid for once.

    pending, newest first -> within the budget -> ask part by part -> find each quote -> [row of features]

Every request leaves a row in `features.model_requests`, in a transaction of its own as soon as it is answered.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row

from ingest_assets.features import prompt
from ingest_assets.features.batches import MOST_BYTES, MOST_REQUESTS, Answered, Batches, name_of
from ingest_assets.features.budget import Budget, dollars, next_start
from ingest_assets.features.client import (
    CUT_OFF,
    FINAL,
    MALFORMED,
    STOP_PAUSE,
    LanguageModel,
    ModelBusy,
    ModelStopped,
    Rejected,
    TooLong,
    Usage,
)
from ingest_assets.features.evidence import Evidence
from ingest_assets.features.kinds import Featured
from ingest_assets.features.model import Feature, Findings, digest, parse
from ingest_assets.features.parts import halves, parts, tokens
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.login import Clock
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.transcript import Transcript
from ingest_assets.sources.values import storable, storable_text
from ingest_assets.storage import features as storage
from ingest_assets.storage.leases import NamedLease, lease

SUCCESS, PARTIAL, FAILED, SKIPPED = "success", "partial", "failed", "skipped"
LEASE = timedelta(seconds=120)  # as INGEST_LEASE_SECONDS by default
ATTEMPTS = 3  # of a conversation whose answer could not be used, in different runs
LIKELY_ANSWER = 1_500  # tokens, for the budget until the answer is there
UNREADABLE = "the stored transcript does not have the form that the vendor documents"
BUSY = (
    "another run is reading this workspace's conversations; if it was killed, its lease ends at "
    "{:%Y-%m-%d %H:%M:%S} UTC"
)
TAKEN_OVER = "Another run took this workspace's conversations over."
NO_KEY = "OPENAI_API_KEY is not set: no features are extracted. Everything else is complete without it."


@dataclass
class Report:
    """What became of one workspace's conversations. Counts only, never a text."""

    workspace_id: str
    status: str = SUCCESS
    reason: str | None = None
    extracted: int = 0
    unchanged: int = 0
    """Conversations whose rows changed, but not what was said in them."""
    rejected: int = 0
    forgotten: int = 0
    remaining: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    malformed: int = 0
    """Items that did not follow the schema."""
    submitted: int = 0
    """Conversations that were sent as a batch."""
    waiting: int = 0
    """Conversations whose batch has not ended."""
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: float = 0.0
    format: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return {**vars(self), "kinds": dict(self.kinds), "usage": asdict(self.usage)}


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """What the extractions of a process share."""

    engine: Engine
    settings: ModelSettings
    owner: str
    clock: Clock = field(default_factory=Clock)
    lease_length: timedelta = LEASE
    """How long an extraction that died keeps its workspace. A living one renews."""

    def run(self, kind: Featured, workspace_id: str) -> Report:
        """Extract what is pending in a workspace. Raises OperationalError when the database went away."""
        if self.settings.api_key is None:
            return Report(workspace_id, SKIPPED, NO_KEY)
        name = f"{kind.table.fullname} {workspace_id}"
        with lease(self.engine, name, owner=self.owner, length=self.lease_length) as held:
            if not held.taken:
                return Report(workspace_id, SKIPPED, BUSY.format(held.until.astimezone(UTC)))
            return asyncio.run(_Extraction(self, kind, workspace_id, held).run())


@dataclass
class _Reading:
    """What was found in one conversation so far."""

    summaries: list[str] = field(default_factory=list)
    features: dict[tuple[Any, ...], Feature] = field(default_factory=dict)
    dropped: int = 0


class _Extraction:
    """One workspace's extraction under way."""

    def __init__(self, shared: Extractor, kind: Featured, workspace_id: str, held: NamedLease) -> None:
        self.held = held
        self.engine, self.settings, self.clock, self.owner = (
            shared.engine,
            shared.settings,
            shared.clock,
            shared.owner,
        )
        self.kind, self.workspace_id = kind, workspace_id
        self.version = prompt.version(self.settings.model)
        self.question = prompt.question(self.settings.model)
        self.report = Report(workspace_id)
        self.stopped: tuple[str, str, datetime] | None = None  # status, reason, when to go on
        self.budget = Budget.load(self.settings, self.engine, workspace_id, self.clock.now())

    async def run(self) -> Report:
        with self.engine.begin() as conn:
            self.report.forgotten = storage.forget_gone(
                conn, self.kind.records, self.kind.table, self.workspace_id
            )
            waiting = storage.pending(conn, self.kind.records, self.kind.table, self.version, self.workspace_id)
        self.report.remaining = len(waiting)
        async with LanguageModel.open(self.settings, self.clock) as model:
            await self._all(model, waiting)
            self.report.requests = model.requests
            self.report.format = model.format["type"] if model.requests else None
        self.report.usage = self.budget.used
        if self.stopped is not None:
            self.report.status, reason, until = self.stopped
            self.report.reason = f"{reason} {self.report.remaining} remain." if self.report.remaining else reason
            await self._note(None, self.report.status, Usage(), until)
        return self.report

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
            self.stopped = self.stopped or (PARTIAL, str(error), error.until)
        except ModelStopped as error:
            self.stopped = (FAILED, str(error), self.clock.now() + STOP_PAUSE)

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
            estimate = Usage(sum(map(_input_tokens, requests)), LIKELY_ANSWER * len(requests))
            if len(asked) + len(requests) > MOST_REQUESTS or size > MOST_BYTES or not self._reserve(estimate):
                break
            total += estimate
            chosen.append(external_id)
            asked += requests
        if chosen:
            await batches.submit(asked, chosen, total)
            self.report.submitted = len(chosen)

    def _reserve(self, estimate: Usage) -> bool:
        limit = self.budget.reserve(estimate)
        if limit is not None:
            now = self.clock.now()
            self.stopped = self.stopped or (PARTIAL, f"{limit} is reached.", next_start(limit, now))
        return limit is None

    async def _work(self, model: LanguageModel, queue: Any) -> None:
        for external_id in queue:
            if self.held.lost:
                self.stopped = self.stopped or (PARTIAL, TAKEN_OVER, self.clock.now())
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
        }
        try:
            transcript = self.kind.transcript(row.raw)
        except UNPARSEABLE:
            await self._save(tried | {"state": storage.REJECTED, "reason": UNREADABLE, "attempts": 1})
            self.report.rejected += 1
            return
        tried["title"] = storable_text(transcript.title)
        lines = prompt.written(transcript)
        key = digest(self.question, transcript.title, *lines)
        if before is not None and before.transcript_key == key:
            await self._save(tried | {"state": storage.READY, "reason": None, "attempts": 0})
            self.report.unchanged += 1
            return
        reading = _Reading()
        try:
            if await self._read(model, external_id, transcript, lines, reading):
                await self._save(tried | self._found(reading, key))
                self._count(reading)
        except (Rejected, TooLong) as error:
            same = before is not None and (before.version, before.record_hash) == (self.version, row.content_hash)
            attempts = 1 + (before.attempts if before is not None and same else 0)
            again = isinstance(error, Rejected) and error.outcome not in FINAL and attempts < ATTEMPTS
            state = storage.RETRY if again else storage.REJECTED
            await self._save(tried | {"state": state, "reason": str(error), "attempts": attempts})
            self.report.rejected += 1
        except ModelBusy as error:
            self.stopped = self.stopped or (PARTIAL, str(error), error.until)
        except ModelStopped as error:
            self.stopped = (FAILED, str(error), self.clock.now() + STOP_PAUSE)

    async def _read(
        self,
        model: LanguageModel,
        external_id: str,
        transcript: Transcript,
        lines: Sequence[str],
        reading: _Reading,
    ) -> bool:
        """Read all parts. False: the budget came first, and nothing is to be stored of half a conversation."""
        evidence = Evidence(transcript)
        for part in parts(lines, self.settings.part_tokens):
            if not await self._part(model, external_id, transcript.title, part, evidence, reading):
                return False
        return True

    def _found(self, reading: _Reading, key: str) -> dict[str, Any]:
        features = sorted(reading.features.values(), key=lambda one: (one.start, one.kind))
        return {
            "state": storage.READY,
            "reason": None,
            "attempts": 0,
            "transcript_key": key,
            "model": self.settings.model,
            "summary": storable_text("\n\n".join(reading.summaries)),
            "items": storable([asdict(one) for one in features]),
            "dropped": reading.dropped,
            "extracted_at": self.clock.now(),
        }

    def _count(self, reading: _Reading) -> None:
        self.report.extracted += 1
        self.report.dropped += reading.dropped
        self.report.kinds.update(one.kind for one in reading.features.values())

    async def _part(
        self,
        model: LanguageModel,
        external_id: str,
        title: str,
        lines: Sequence[str],
        evidence: Evidence,
        reading: _Reading,
    ) -> bool:
        """Ask about one part; in halves where it is too long. False: the budget does not allow it."""
        try:
            findings = await self._ask(model, external_id, prompt.messages(title, lines))
        except (TooLong, Rejected) as error:
            cut = isinstance(error, TooLong) or error.outcome == CUT_OFF
            two = halves(lines) if cut else None
            if two is None:
                raise
            for half in two:
                if not await self._part(model, external_id, title, half, evidence, reading):
                    return False
            return True
        if findings is None:
            return False
        reading.summaries.append(findings.summary)
        for item in findings.items:
            feature = evidence.feature(item)
            if feature is None:
                reading.dropped += 1
            else:
                reading.features.setdefault((feature.kind, feature.start, feature.quote), feature)
        return True

    async def _ask(self, model: LanguageModel, external_id: str, asked: list[dict[str, Any]]) -> Findings | None:
        """Ask, and once more with the faults named; None when the budget does not allow it."""
        content = await self._request(model, external_id, asked)
        if content is None:
            return None
        findings, faults = parse(content)
        if not faults:
            return findings
        corrected = await self._request(model, external_id, prompt.repair(asked, content, faults))
        if corrected is not None:
            findings, faults = parse(corrected)
        if findings is None:
            if corrected is None:
                return None  # nor does the budget allow the correction
            raise Rejected(MALFORMED, Usage())
        self.report.malformed += len(faults)
        return findings

    async def _request(self, model: LanguageModel, external_id: str, asked: list[dict[str, Any]]) -> str | None:
        estimate = Usage() if model.holds(asked) else Usage(_input_tokens(asked), LIKELY_ANSWER)
        if not model.holds(asked) and not self._reserve(estimate):
            return None
        usage = Usage()
        try:
            content, usage = await model.ask(asked)
        except Rejected as error:
            usage = error.usage
            await self._note(external_id, error.outcome, usage)
            raise
        finally:
            self.budget.settle(estimate, usage)
        await self._note(external_id, "answered", usage)
        return content

    def _load(self, external_id: str) -> tuple[Row[Any] | None, Row[Any] | None]:
        with self.engine.connect() as conn:
            return (
                storage.load(conn, self.kind.records, self.workspace_id, external_id),
                storage.stored(conn, self.kind.table, self.workspace_id, external_id),
            )

    async def _save(self, values: dict[str, Any]) -> None:
        await asyncio.to_thread(self._write, values)
        self.report.remaining -= 1

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


def _input_tokens(asked: list[dict[str, Any]]) -> int:
    return sum(tokens(message["content"]) for message in asked)
