"""Read one Fathom account: its sessions, window after window."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection

from ingest_assets.errors import PartUnreadable, SourceError
from ingest_assets.sources.fathom.client import GONE, FathomClient
from ingest_assets.sources.fathom.connect import FathomCredential, FathomExtraction, FathomOptions, FathomSettings
from ingest_assets.sources.fathom.probe import NOTHING, QUIET
from ingest_assets.sources.fathom.records import FathomSession, created_at, hash_of, id_of
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.rejected import UNPARSEABLE, rejection
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.source import DAY, Page, Store
from ingest_assets.sources.time_window_plan import Window
from ingest_assets.sources.time_windows import PRESENCE, ROOM, Listed, WindowReader
from ingest_assets.sources.transcript_state import READY
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.sightings import forget_sightings, hand_over, note_sightings

PAGES_A_WINDOW = 40  # heavy requests: little more than a minute's worth
SESSIONS_A_COMMIT = 50  # Fathom's pages of 10 cost more to commit than to fetch
KNOWN = ("account_id", "details_hash", "transcript_state", "first_seen_at", "deleted_at")
NEIGHBOURS = timedelta(hours=1)  # sessions that close together are looked at again in one list
INSTANT = timedelta(seconds=1)
VISIBILITY = "visibility"
TRANSCRIPT, SUMMARY = "transcript", "summary"  # what can be unreadable
ELSEWHERE = "held by another account"

Part = TypeVar("Part")


class Visibility(BaseModel):
    """When the login was last shown a session, to a day."""

    seen_at: datetime


async def extract(run: FathomExtraction, store: Store) -> None:
    """Store the account's pages; a login that is shown nothing is told as an unreadable part."""
    async with FathomClient.open(run) as client:
        run.parts.login = partial(client.sees_any, run.started_at - NEIGHBOURS, run.started_at)
        sessions = Sessions(run, client, store)
        await sessions.read()
        known = run.cursors.get(VISIBILITY)
        if known is None and not sessions.shown:  # a short look that found nothing tells nothing
            sessions.shown = await client.sees_any(run.started_at - QUIET, run.started_at)
        present = client.vendor_clock.earlier(run.started_at)
    silence = None if known is None else abs(present - Visibility.model_validate(known).seen_at)
    if sessions.shown and (silence is None or silence >= DAY):
        await store(Page(stream=VISIBILITY, cursor=Visibility(seen_at=present)))
    if not sessions.shown and (silence is None or silence > QUIET):
        blind = PartUnreadable(NOTHING, code="sees_none")
        await store(Page(unreadable=[await run.parts.failed(Sessions.stream, Sessions.stream, blind)]))
    elif sessions.shown and (seen := run.parts.succeeded(Sessions.stream)):
        await store(Page(read=seen))


class Sessions(WindowReader[FathomCredential, FathomSettings, FathomOptions]):
    """The sessions that one login sees."""

    record: ClassVar = FathomSession
    stream: ClassVar = "sessions"
    look_back: ClassVar = timedelta(hours=1)
    moment: ClassVar = "created_at"

    kinds: ClassVar = (TRANSCRIPT, SUMMARY)

    def __init__(self, run: FathomExtraction, client: FathomClient, store: Store) -> None:
        super().__init__(
            run,
            store,
            client.vendor_clock,
            newest=run.settings.newest_sessions,
        )
        self.client = client
        self.shown = False
        """Whether Fathom lists anything of late."""
        self._handed_over: set[str] = set()

    def called(self, part: str) -> str:
        kind, _, recording_id = part.partition(":")
        return f"recording {recording_id}" if kind == PRESENCE else f"{kind} of recording {recording_id}"

    async def listing(self, window: Window) -> AsyncGenerator[Listed]:
        span = _Span(self.listed_at)
        gathered: list[Any] = []
        async with aclosing(self.client.meetings(window.since, window.until)) as pages:
            async for meetings in pages:
                if span.pages == PAGES_A_WINDOW:
                    yield Listed(pieces=max(2, ceil(ROOM * (window.until - window.since) / span.length)))
                span.add(meetings)
                gathered += meetings
                if len(gathered) >= SESSIONS_A_COMMIT:
                    yield Listed(gathered)
                    gathered = []
        yield Listed(gathered)

    def listed_at(self, item: Any) -> datetime | None:
        try:
            return created_at(item)
        except UNPARSEABLE:
            return None

    async def exists(self, external_id: str, *, tries: int) -> bool:
        try:
            await self.client.transcript(external_id, tries)
        except PartUnreadable as error:
            if error.code == GONE:
                return False
            raise
        return True

    async def again(self, rows: Sequence[StoredRow]) -> None:
        self.listed, ids = set(), {row.external_id for row in rows}
        for window in _around(sorted(row.created_at for row in rows)):
            async with aclosing(self.client.meetings(window.since, window.until)) as pages:
                async for meetings in pages:
                    await self.store(await self.page([one for one in meetings if _id(one) in ids], deep=True))
        if gone := await self.gone(sorted(ids - self.listed)):
            await self.store(Page(gone=gone))
        if looked_at := ids & self._handed_over:
            await self._noted(forget_sightings, sorted(looked_at))

    async def doubted(self, columns: Sequence[str]) -> Sequence[StoredRow]:
        rows = await self.existing.handed_over(columns)
        self._handed_over = {row.external_id for row in rows}
        return rows

    async def gone(self, external_ids: Sequence[str]) -> list[str]:
        """Leave out those that another login of the workspace sees: their rows go to it."""
        gone = await super().gone(external_ids)
        if theirs := await self.existing.seen_by_others(gone):
            await self._noted(hand_over, theirs)
        if lost := sorted(set(gone) - set(theirs)):
            await self._noted(forget_sightings, lost)
        return lost

    async def _noted(self, write: Callable[..., None], external_ids: Sequence[str]) -> None:
        await self.store(Page(then=self._note(write, external_ids)))

    def _note(self, write: Callable[..., None], external_ids: Sequence[str]) -> Callable[[Connection], None]:
        account = self.run.account
        return lambda conn: write(
            conn, FathomSession.table, account.workspace_id, account.account_id, external_ids
        )

    async def page(self, items: Sequence[Any], *, deep: bool) -> Page:
        quiet_since = self.run.started_at - QUIET
        self.shown = self.shown or any((self.listed_at(item) or quiet_since) >= quiet_since for item in items)
        meetings: dict[str, Json] = {}
        rows, theirs = Rows(), list[str]()
        for item in items:
            try:
                meetings[id_of(item)] = item
            except UNPARSEABLE as error:
                rows.rejected.append(rejection(FathomSession, item, error, parse=id_of))
        self.listed.update(meetings)
        known = await self._known(list(meetings))
        for external_id, meeting in meetings.items():
            row: Any = known.get(external_id)
            elsewhere = self._elsewhere(row)
            if elsewhere and row.transcript_state == READY:
                theirs.append(external_id)
                continue
            if not self.client.inline:
                held = _held(row, meeting)
                if held and not deep:
                    continue
                meeting |= await self._apart(external_id, transcript=not held)
            parse = partial(self._record, row=row)
            record = rows.parsed(FathomSession, meeting, parse, external_id=external_id)
            if record is None:
                continue
            if elsewhere and record.transcript_state != READY:
                theirs.append(external_id)
                continue
            rows.records.append(record)
        page = Page(rows.records, rejected=rows.rejected)
        if not theirs:
            return page
        self.run.left_out[ELSEWHERE] += len(theirs)
        return replace(page, then=self._note(note_sightings, theirs))

    async def _apart(self, external_id: str, *, transcript: bool) -> Json:
        """Fetch what the list does not bring to an OAuth app, each part whatever became of the other.

        Without `transcript` that is the summary only, and the transcript stays as we hold it, unless it is to be
        asked for again.
        """
        again = transcript or self.run.parts.known(f"{TRANSCRIPT}:{external_id}")
        said = (
            await self._part(TRANSCRIPT, external_id, "transcript", self.client.transcript)
            if again
            else await self._stored_part(external_id, "transcript")
        )
        summary = await self._part(SUMMARY, external_id, "default_summary", self.client.summary)
        return {"transcript": said, "default_summary": summary}

    async def _part(
        self, kind: str, external_id: str, name: str, fetch: Callable[[str, int], Awaitable[Part | None]]
    ) -> Part | None:
        """Fetch a part; one that is refused stays as we hold it, as that does not tell that it is gone."""
        part = f"{kind}:{external_id}"
        if self.may_ask(part):
            try:
                found = await fetch(external_id, self.run.parts.tries(part))
            except SourceError as error:
                await self.part_failed(part, error)
            else:
                self.part_read(part)
                return found
        held: Part | None = await self._stored_part(external_id, name)
        return held

    async def _stored_part(self, external_id: str, name: str) -> Any:
        row = (await self._known([external_id], ["raw"])).get(external_id)
        return None if row is None else row.raw.get(name)

    def _record(self, meeting: Json, *, row: StoredRow | None) -> FathomSession:
        return FathomSession.from_api(
            self.run.account,
            meeting,
            was=None if row is None else row.transcript_state,
            age=timedelta(0) if row is None else self.run.clock.now() - row.first_seen_at,
        )

    def _elsewhere(self, row: StoredRow | None) -> bool:
        """Whether another login of the workspace, one that works, holds the session."""
        if row is None or row.deleted_at is not None or row.account_id == self.run.account.account_id:
            return False
        return bool(row.works)

    async def _known(self, external_ids: Sequence[str], columns: Sequence[str] = KNOWN) -> dict[str, StoredRow]:
        return await self.existing.by_id_of_all_accounts(external_ids, columns)


class _Span:
    """How much time the pages of a walk have covered, in whichever order they came."""

    def __init__(self, listed_at: Callable[[Any], datetime | None]) -> None:
        self.pages = 0
        self._listed_at = listed_at
        self._moments: list[datetime] = []

    def add(self, meetings: Sequence[object]) -> None:
        self.pages += 1
        self._moments += [moment for meeting in meetings if (moment := self._listed_at(meeting)) is not None]

    @property
    def length(self) -> timedelta:
        return max(max(self._moments) - min(self._moments), INSTANT) if self._moments else INSTANT


def _id(meeting: Any) -> str | None:
    try:
        return id_of(meeting)
    except UNPARSEABLE:
        return None


def _around(moments: Sequence[datetime]) -> list[Window]:
    """Make short windows that hold some moments, sorted."""
    windows: list[Window] = []
    for moment in moments:
        since = moment - INSTANT
        if windows and moment - windows[-1].until <= NEIGHBOURS:
            since = windows.pop().since
        windows.append(Window(since=since, until=moment + INSTANT))
    return windows


def _held(row: StoredRow | None, meeting: Json) -> bool:
    """Whether we hold a session complete and as it is now."""
    if row is None or row.deleted_at is not None or row.transcript_state != READY:
        return False
    return bool(row.details_hash == hash_of(meeting))
