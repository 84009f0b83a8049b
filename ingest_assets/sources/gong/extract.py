"""Read one Gong account: the names its calls need, and the calls."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar

from pydantic import BaseModel

from ingest_assets.errors import CursorExpired, PartUnreadable
from ingest_assets.sources.batch import Batch
from ingest_assets.sources.concurrency import interleave
from ingest_assets.sources.gong.client import IDS_A_REQUEST, GongClient
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace, hash_of, moment_of
from ingest_assets.sources.json_values import flag_of, mapping_of
from ingest_assets.sources.readiness import READY
from ingest_assets.sources.rejected import UNPARSEABLE, rejection
from ingest_assets.sources.source import Extraction, Page
from ingest_assets.sources.times import BEGINNING
from ingest_assets.sources.values import UnusableValue, checked_id
from ingest_assets.sources.windows import Listed, Window, WindowReader
from ingest_assets.storage import reads

DIRECTORY = "directory"
USERS, WORKSPACES = "users", "workspaces"
NAMES: dict[str, type[GongUser] | type[GongWorkspace]] = {USERS: GongUser, WORKSPACES: GongWorkspace}
NAMES_RHYTHM = timedelta(days=1)
CALLS_A_WINDOW = 1000  # 20 requests with transcripts: far within the hour that a page cursor lives


class DirectoryCursor(BaseModel):
    """When each list of names was asked for, and what the login lacks for those that it may not read."""

    asked_at: dict[str, datetime] = {}
    lacking: dict[str, str] = {}

    def due(self, now: datetime) -> str | None:
        """Name the list that waits longest: read daily, or by every sync where it was refused."""
        waiting = [
            name
            for name in NAMES
            if name in self.lacking or now - self.asked_at.get(name, BEGINNING) >= NAMES_RHYTHM
        ]
        return min(waiting, key=lambda name: self.asked_at.get(name, BEGINNING), default=None)

    def after(self, name: str, now: datetime, lacking: str | None) -> "DirectoryCursor":
        others = {other: lacks for other, lacks in self.lacking.items() if other != name}
        return DirectoryCursor(
            asked_at=self.asked_at | {name: now},
            lacking=others if lacking is None else others | {name: lacking},
        )


async def extract(run: Extraction) -> AsyncGenerator[Page]:
    """Yield the account's pages."""
    async with GongClient.open(run, affordable_at=run.affordable_at) as client:
        streams = [_directory(run, client), _Calls(run, client).read()]
        async with aclosing(interleave(streams, at_once=len(streams))) as pages:
            async for page in pages:
                yield page


async def _directory(run: Extraction, client: GongClient) -> AsyncGenerator[Page]:
    """Learn the names, one list a sync; `run.skipped` tells which of them the login may not read."""
    cursor = DirectoryCursor.model_validate(run.cursors.get(DIRECTORY, {}))
    if name := cursor.due(run.started_at):
        try:
            async with aclosing(client.users() if name == USERS else client.workspaces()) as pages:
                async for items in pages:
                    yield _parsed(run, NAMES[name], items)
            cursor = cursor.after(name, run.started_at, None)
        except PartUnreadable as error:
            cursor = cursor.after(name, run.started_at, error.code)
        except CursorExpired:
            run.skipped[name] = "page cursor expired"  # the next sync asks again
        yield Page(stream=DIRECTORY, cursor=cursor)
    run.skipped.update(cursor.lacking)


def _parsed(run: Extraction, record: type[GongUser] | type[GongWorkspace], items: Sequence[Any]) -> Page:
    batch = Batch()
    for item in items:
        batch.parse(record, item, partial(record.from_api, run.account))
    return Page(batch.records, rejected=batch.rejected)


class _Calls(WindowReader):
    """The calls of one account."""

    record: ClassVar = GongCall
    stream: ClassVar = "calls"
    look_back: ClassVar = timedelta(days=1)  # a call is listed once Gong has processed it
    moment: ClassVar = "occurred_at"

    def __init__(self, run: Extraction, client: GongClient) -> None:
        super().__init__(run, newest=run.settings.newest_calls)
        self.client = client

    def history_waits(self) -> datetime | None:
        """Live reading keeps the rest of the day's requests."""
        return self.run.affordable_at(self.run.options.backfill_share * self.run.options.calls_per_day)

    async def listing(self, window: Window) -> AsyncGenerator[Listed]:
        async with aclosing(self.client.calls(window.since, window.until)) as pages:
            async for page in pages:
                yield Listed(page.calls, ceil(page.total / CALLS_A_WINDOW))

    def listed_at(self, item: Any) -> datetime | None:
        try:
            return moment_of(_facts(item))
        except UNPARSEABLE:
            return None

    async def exists(self, external_id: str) -> bool:
        return await self.client.exists(external_id)

    async def again(self, rows: Sequence[Any]) -> AsyncGenerator[Page]:
        ids = [row.external_id for row in rows]
        for start in range(0, len(ids), IDS_A_REQUEST):
            batch = ids[start : start + IDS_A_REQUEST]
            self.listed = set()
            yield await self.page(await self.client.calls_by_id(batch), deep=True)
            if gone := await self.gone(sorted(set(batch) - self.listed)):
                yield Page(gone=gone)

    async def page(self, items: Sequence[Any], *, deep: bool) -> Page:
        """Ask for the transcripts of those calls that we do not hold as they are."""
        batch, calls = Batch(), {}
        for item in items:
            try:
                calls[checked_id(_facts(item).get("id"), "metaData.id")] = item
            except UnusableValue as error:
                batch.rejected.append(rejection(GongCall, item, error))
        self.listed.update(calls)
        columns = ("details_hash", "transcript_state", "first_seen_at", "deleted_at")
        known: dict[str, Any] = await self.stored(reads.stored, list(calls), columns)
        private = set() if self.run.settings.include_private else {i for i, c in calls.items() if _private(c)}
        if private:
            self.run.left_out["private"] += len(private)
        wanted = [
            call_id
            for call_id, call in calls.items()
            if call_id not in private and (deep or not _held(known.get(call_id), call))
        ]
        transcripts: dict[str, list[Any]] = {}
        for start in range(0, len(wanted), IDS_A_REQUEST):
            transcripts |= await self.client.transcripts(wanted[start : start + IDS_A_REQUEST])
        for call_id in wanted:
            parse = partial(self._record, transcript=transcripts.get(call_id), row=known.get(call_id))
            batch.parse(GongCall, calls[call_id], parse, external_id=call_id)
        left = [call_id for call_id in private if call_id in known and known[call_id].deleted_at is None]
        return Page(batch.records, left=left, rejected=batch.rejected)

    def _record(self, call: dict[str, Any], *, transcript: list[Any] | None, row: Any) -> GongCall:
        return GongCall.from_api(
            self.run.account,
            call,
            transcript,
            was=None if row is None else row.transcript_state,
            age=timedelta(0) if row is None else self.run.clock.now() - row.first_seen_at,
        )


def _facts(call: Any) -> Mapping[str, Any]:
    return mapping_of(mapping_of(call).get("metaData"))


def _private(call: Any) -> bool:
    """Whether a call is private, or what Gong says about that cannot be read."""
    said = _facts(call).get("isPrivate")
    return said is not None and flag_of(said) is not False


def _held(row: Any, call: dict[str, Any]) -> bool:
    """Whether we hold a call complete and as it is now."""
    if row is None or row.deleted_at is not None or row.transcript_state != READY:
        return False
    return bool(row.details_hash == hash_of(call))
