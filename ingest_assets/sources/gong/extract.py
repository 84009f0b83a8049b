"""Read one Gong account: what is new first, then what is left of its history, then what was not ready."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from ingest_assets.errors import CursorExpired
from ingest_assets.sources.base import UNPARSEABLE, Extraction, Page, Record, Rejected, rejection
from ingest_assets.sources.gong.client import IDS_A_REQUEST, CallsPage, GongClient
from ingest_assets.sources.gong.plan import CALLS_A_WINDOW, RHYTHM, GongCursor, Window, plan
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace, hash_of
from ingest_assets.sources.patience import ahead, interleave
from ingest_assets.sources.readiness import READY, UNREADY, due
from ingest_assets.storage import reads

CALLS, DIRECTORY = "calls", "directory"
KNOWN = ("details_hash", "transcript_state", "first_seen_at", "deleted_at")
CONFIRMATIONS = 50  # absent calls that one sync asks for by id; the next one goes on
RESTARTS = 2  # of a window whose page cursor died


class DirectoryCursor(BaseModel):
    """When the lists of names were read."""

    users_at: datetime | None = None
    workspaces_at: datetime | None = None


async def extract(run: Extraction) -> AsyncGenerator[Page]:
    """Yield the account's pages."""
    async with GongClient.open(run, spent=lambda: run.calls_today + run.calls.total()) as client:
        streams = [_directory(run, client), _Calls(run, client).read()]
        async with aclosing(interleave(streams, at_once=len(streams))) as pages:
            async for page in pages:
                yield page


async def _directory(run: Extraction, client: GongClient) -> AsyncGenerator[Page]:
    """Learn the names, daily, one list a sync: users first."""
    cursor = DirectoryCursor.model_validate(run.cursors.get(DIRECTORY, {}))
    now = run.started_at
    if cursor.users_at is None or now - cursor.users_at >= RHYTHM:
        async with aclosing(client.users()) as pages:
            async for users in pages:
                yield _parsed(run, GongUser, users)
        cursor = cursor.model_copy(update={"users_at": now})
    elif cursor.workspaces_at is None or now - cursor.workspaces_at >= RHYTHM:
        yield _parsed(run, GongWorkspace, await client.workspaces())
        cursor = cursor.model_copy(update={"workspaces_at": now})
    else:
        return
    yield Page(stream=DIRECTORY, cursor=cursor)


def _parsed(run: Extraction, record: type[GongUser] | type[GongWorkspace], items: Sequence[Any]) -> Page:
    records: list[Record] = []
    rejected: list[Rejected] = []
    for item in items:
        try:
            records.append(record.from_api(run.account, item))
        except UNPARSEABLE as error:
            rejected.append(rejection(record, item, error, external_id=None))
    return Page(records, rejected=rejected)


class _Calls:
    """The calls of one account."""

    def __init__(self, run: Extraction, client: GongClient) -> None:
        self.run, self.client = run, client
        self.table = GongCall.table
        stored = run.cursors.get(CALLS)
        history = run.settings.at_most(timedelta(days=run.options.history_days))
        known = None if stored is None else GongCursor.model_validate(stored)
        self.cursor = plan(known, run.started_at, history)
        self.read_windows: list[Window] = []
        self.confirmations = CONFIRMATIONS

    async def read(self) -> AsyncGenerator[Page]:
        live = True
        while self.cursor.unread:
            if not live and self._history_spent():
                break
            window = self.cursor.unread[-1 if live else 0]
            async with aclosing(self._window(window)) as pages:
                async for page in pages:
                    yield page
            live = live and window not in self.read_windows  # it was cut: its newest piece comes next
        async with aclosing(self._unready()) as pages:
            async for page in pages:
                yield page

    def _history_spent(self) -> bool:
        """Whether the share of the day's requests that history may use is gone; live reading keeps the rest."""
        share = self.run.options.backfill_share * self.run.options.calls_per_day
        if self.run.calls_today + self.run.calls.total() < share:
            return False
        self.run.skipped["history"] = "the day's requests for it are spent"
        return True

    async def _window(self, window: Window) -> AsyncGenerator[Page]:
        """Read a window to its end, or cut it into pieces."""
        for attempt in range(RESTARTS + 1):
            self.listed: set[str] = set()
            try:
                async with aclosing(ahead(self._walk(window))) as pages:
                    async for page in pages:
                        yield page
            except CursorExpired:
                if attempt == RESTARTS:
                    raise
                continue
            break
        if window not in self.cursor.unread:
            return
        self.cursor = self.cursor.without(window)
        self.read_windows.append(window)
        async for page in self._absent(window):
            yield page
        yield Page(stream=CALLS, cursor=self.cursor)

    async def _walk(self, window: Window) -> AsyncGenerator[Page]:
        async with aclosing(ahead(self._listing(window))) as listing:
            async for listed in listing:
                yield await self._page(listed.calls, deep=window.deep)

    async def _listing(self, window: Window) -> AsyncGenerator[CallsPage]:
        newest = self.run.settings.newest_calls
        everything: list[Any] = []
        async with aclosing(self.client.calls(window.since, window.until)) as pages:
            async for listed in pages:
                too_much = newest is None and listed.total > CALLS_A_WINDOW
                if too_much and len(pieces := window.split(listed.total)) > 1:
                    self.cursor = self.cursor.replacing(window, pieces)
                    return
                if newest is None:
                    yield listed
                everything += listed.calls
        if newest is not None:
            yield CallsPage(sorted(everything, key=_started, reverse=True)[:newest], newest)

    async def _page(self, calls: Sequence[Any], *, deep: bool) -> Page:
        """Join calls with their transcripts; ask only for those that we do not hold as they are."""
        ids = [call_id for call in calls if (call_id := _id(call)) is not None]
        self.listed.update(ids)
        known = await self._known(ids)
        private: list[str] = []
        wanted: list[dict[str, Any]] = []
        rejected: list[Rejected] = []
        for call in calls:
            call_id = _id(call)
            row = None if call_id is None else known.get(call_id)
            if call_id is None:
                rejected.append(rejection(GongCall, call, KeyError("metaData.id"), external_id=None))
            elif call["metaData"].get("isPrivate") and not self.run.settings.include_private:
                self.run.left_out["private"] += 1
                private += [call_id] if row is not None and row.deleted_at is None else []
            elif deep or row is None or row.deleted_at is not None or not _same(row, call):
                wanted.append(call)
        records: list[Record] = []
        transcripts = await self._transcripts([call["metaData"]["id"] for call in wanted])
        for call in wanted:
            call_id = call["metaData"]["id"]
            row = known.get(call_id)
            age = timedelta(0) if row is None else self.run.clock.now() - row.first_seen_at
            try:
                records.append(
                    GongCall.from_api(
                        self.run.account,
                        call,
                        transcripts.get(call_id),
                        was=None if row is None else row.transcript_state,
                        age=age,
                    )
                )
            except UNPARSEABLE as error:
                rejected.append(rejection(GongCall, call, error, external_id=call_id))
        return Page(records, gone=private, rejected=rejected)

    async def _transcripts(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for start in range(0, len(ids), IDS_A_REQUEST):
            found |= await self.client.transcripts(ids[start : start + IDS_A_REQUEST])
        return found

    async def _known(self, ids: Sequence[str]) -> dict[str, Any]:
        rows: dict[str, Any] = await self._stored(reads.stored, ids, KNOWN)
        return rows

    async def _absent(self, window: Window) -> AsyncGenerator[Page]:
        """Tombstone stored calls that the window listed no more and that Gong does not know by id either."""
        if self.run.settings.newest_calls is not None:
            return
        held = await self._stored(reads.ids_between, "occurred_at", window.since, window.until)
        if gone := await self._gone(sorted(held - self.listed)):
            yield Page(gone=gone)

    async def _gone(self, ids: Sequence[str]) -> list[str]:
        asked = ids[: self.confirmations]
        self.confirmations -= len(asked)
        return [call_id for call_id in asked if not await self.client.exists(call_id)]

    async def _unready(self) -> AsyncGenerator[Page]:
        """Look again at calls without a transcript that no window of this sync held, ever more rarely."""
        rows = await self._stored(
            reads.rows_in, "transcript_state", UNREADY, ["external_id", "occurred_at", "first_seen_at"]
        )
        now = self.run.started_at
        ids = [
            row.external_id
            for row in rows
            if due(row.first_seen_at, self.cursor.looked_at, now)
            and not any(window.since <= row.occurred_at < window.until for window in self.read_windows)
        ]
        for start in range(0, len(ids), IDS_A_REQUEST):
            batch = ids[start : start + IDS_A_REQUEST]
            self.listed = set()
            page = await self._page(await self.client.calls_by_id(batch), deep=True)
            yield page
            if gone := await self._gone(sorted(set(batch) - self.listed)):
                yield Page(gone=gone)
        self.cursor = self.cursor.model_copy(update={"looked_at": now})
        yield Page(stream=CALLS, cursor=self.cursor)

    async def _stored(self, read: Any, *arguments: Any) -> Any:
        def ask() -> Any:
            with self.run.engine.connect() as conn:
                return read(conn, self.table, self.run.account.account_id, *arguments)

        return await asyncio.to_thread(ask)


def _id(call: Any) -> str | None:
    facts = call.get("metaData") if isinstance(call, dict) else None
    found = facts.get("id") if isinstance(facts, dict) else None
    return found if isinstance(found, str) else None


def _same(row: Any, call: dict[str, Any]) -> bool:
    return bool(row.transcript_state == READY and row.details_hash == hash_of(call))


def _started(call: Any) -> str:
    facts = call.get("metaData") if isinstance(call, dict) else None
    started = facts.get("started") if isinstance(facts, dict) else None
    return started if isinstance(started, str) else ""
