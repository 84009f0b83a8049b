"""Reading a list that can only be filtered by time: what is new first, then history, then what was not ready.

An item appears late and changes later, and the list tells neither: so the latest stretch is read anew by every
sync, a longer one daily, all of the history weekly (what is shared late or deleted late shows nowhere else), and
what has no transcript yet at ages of its own. Only times stay true for weeks; a page cursor dies within the hour
and never leaves the walk that got it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import BaseModel

from ingest_assets.errors import CursorExpired
from ingest_assets.sources.batch import stored
from ingest_assets.sources.concurrency import ahead
from ingest_assets.sources.readiness import UNREADY, due
from ingest_assets.sources.record import Record
from ingest_assets.sources.source import Extraction, Page
from ingest_assets.sources.times import BEGINNING
from ingest_assets.storage import reads

DEEP_LOOK_BACK = timedelta(days=7)
DEEP_RHYTHM = timedelta(days=1)
WIDE_RHYTHM = timedelta(days=7)
SHORTEST = timedelta(hours=1)
CONFIRMATIONS = 50  # absent items that one sync asks for by id; the next one goes on
RESTARTS = 2  # of a window whose page cursor died


class Window(BaseModel):
    """A stretch of time, from inclusive, until exclusive."""

    since: datetime
    until: datetime
    deep: bool = False
    """Read the transcripts again too, whether the item changed or not."""

    def split(self, pieces: int) -> list["Window"]:
        """Cut a window that holds too much, oldest first; a short one stays whole."""
        pieces = min(pieces, int((self.until - self.since) / SHORTEST))
        if pieces <= 1:
            return [self]
        step = (self.until - self.since) / pieces
        cuts = [self.since + step * place for place in range(pieces)] + [self.until]
        return [self.model_copy(update={"since": since, "until": until}) for since, until in pairwise(cuts)]

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


class WindowsCursor(BaseModel):
    """What we hold: all from `covered_from` to `covered_to` but the unread windows."""

    covered_from: datetime
    covered_to: datetime
    unread: list[Window] = []
    """Oldest first; the last one is the live one."""
    deep_at: datetime
    wide_at: datetime = BEGINNING
    """When all of the history was last looked at."""
    looked_at: datetime
    """When unready items outside the windows were last looked at."""

    def replacing(self, window: Window, pieces: Sequence[Window]) -> "WindowsCursor":
        unread = [piece for one in self.unread for piece in (pieces if one == window else [one])]
        return self.model_copy(update={"unread": unread})


def plan(
    cursor: WindowsCursor | None, now: datetime, history: timedelta, look_back: timedelta, *, wide: bool = True
) -> WindowsCursor:
    """Put what this sync should read into `unread`; without `wide` history that was read is left alone."""
    start = now - history
    if cursor is None:
        whole = Window(since=start, until=now)
        return WindowsCursor(
            covered_from=start, covered_to=now, unread=[whole], deep_at=now, wide_at=now, looked_at=now
        )
    deep = now - cursor.deep_at >= DEEP_RHYTHM
    unread = [window for window in cursor.unread if window.until > start]
    if start < cursor.covered_from:  # the history setting was raised
        unread.insert(0, Window(since=start, until=cursor.covered_from))
    since = max(cursor.covered_to - (DEEP_LOOK_BACK if deep else look_back), start)
    wide = wide and not unread and start < since and now - cursor.wide_at >= WIDE_RHYTHM
    if wide:
        unread = [Window(since=start, until=since)]
    return cursor.model_copy(
        update={
            "covered_from": min(start, cursor.covered_from),
            "covered_to": now,
            "unread": [*unread, Window(since=since, until=now, deep=deep)],
            "deep_at": now if deep else cursor.deep_at,
            "wide_at": now if wide else cursor.wide_at,
        }
    )


@dataclass(frozen=True)
class Listed:
    """Items of a window; or, where there turned out to be too many, how many pieces to cut it into."""

    items: Sequence[Any] = ()
    pieces: int = 1


class WindowReader(ABC):
    """One account's items, window after window. A source says how to list, to join and to confirm."""

    record: ClassVar[type[Record]]
    stream: ClassVar[str]
    look_back: ClassVar[timedelta]
    moment: ClassVar[str]
    """The column that the vendor filters a list by."""

    def __init__(self, run: Extraction, *, newest: int | None) -> None:
        self.run, self.newest = run, newest
        self.listed: set[str] = set()
        """Ids that the window under way has shown."""
        self._finished: list[Window] = []
        self._confirmations = CONFIRMATIONS
        position = run.cursors.get(self.stream)
        known = None if position is None else WindowsCursor.model_validate(position)
        history = run.settings.at_most(timedelta(days=run.options.history_days))
        self._cursor = plan(known, run.started_at, history, self.look_back, wide=newest is None)

    @abstractmethod
    def listing(self, window: Window) -> AsyncGenerator[Listed]:
        """Give the window's items, in the vendor's order."""

    @abstractmethod
    def listed_at(self, item: Any) -> datetime | None:
        """Give an item's time, None where it has none that can be read."""

    @abstractmethod
    async def page(self, items: Sequence[Any], *, deep: bool) -> Page:
        """Join items with their transcripts; note their ids in `listed`."""

    @abstractmethod
    async def exists(self, external_id: str) -> bool:
        """Ask whether the vendor still shows an item."""

    @abstractmethod
    def again(self, rows: Sequence[Any]) -> AsyncGenerator[Page]:
        """Look again at stored items without a transcript (external_id and moment)."""

    def history_waits(self) -> datetime | None:
        """Say until when reading history has to wait for the day's requests."""
        return None

    async def read(self) -> AsyncGenerator[Page]:
        """Read the newest window, then the others, oldest first, then what was not ready."""
        live = True
        while self._cursor.unread:
            if not live and (until := self.history_waits()):
                self.run.skipped["history"] = f"waits until {until:%Y-%m-%d %H:%M} UTC for its share of requests"
                break
            window = self._cursor.unread[-1 if live else 0]
            async with aclosing(self._window(window)) as pages:
                async for page in pages:
                    yield page
            live = live and window not in self._finished  # it was cut: its newest piece comes next
        async with aclosing(self._unready()) as pages:
            async for page in pages:
                yield page

    async def _window(self, window: Window) -> AsyncGenerator[Page]:
        """Read a window to its end, or cut it."""
        for attempt in range(RESTARTS + 1):
            self.listed = set()
            try:
                async with aclosing(self._pages(window)) as pages:
                    async for page in pages:
                        yield page
            except CursorExpired:
                if attempt == RESTARTS:
                    raise
            else:
                break
        if window not in self._cursor.unread:
            return
        self._finished.append(window)
        self._cursor = self._cursor.replacing(window, [])
        if self.newest is None:
            held = await self.stored(reads.ids_between, self.moment, window.since, window.until)
            if gone := await self.gone(sorted(held - self.listed)):
                yield Page(gone=gone)
        yield Page(stream=self.stream, cursor=self._cursor)

    async def _pages(self, window: Window) -> AsyncGenerator[Page]:
        async with aclosing(ahead(self._capped(window))) as listings:
            async for listed in listings:
                yield await self.page(listed.items, deep=window.deep)

    async def _capped(self, window: Window) -> AsyncGenerator[Listed]:
        everything: list[Any] = []
        async with aclosing(self.listing(window)) as pages:
            async for listed in pages:
                if self.newest is not None:
                    everything += listed.items
                    continue
                if listed.pieces > 1 and len(pieces := window.split(listed.pieces)) > 1:
                    self._cursor = self._cursor.replacing(window, pieces)
                    return
                yield listed
        if self.newest is not None:
            everything.sort(key=lambda item: self.listed_at(item) or BEGINNING, reverse=True)
            yield Listed(everything[: self.newest])

    async def gone(self, external_ids: Sequence[str]) -> list[str]:
        """Name those of some items that the vendor does not know by id either."""
        asked = external_ids[: self._confirmations]
        self._confirmations -= len(asked)
        return [external_id for external_id in asked if not await self.exists(external_id)]

    async def _unready(self) -> AsyncGenerator[Page]:
        """Look again at what no window of this sync held, ever more rarely."""
        columns = ["external_id", self.moment, "first_seen_at"]
        now = self.run.started_at
        rows = [
            row
            for row in await self.stored(reads.rows_in, "transcript_state", UNREADY, columns)
            if due(row.first_seen_at, self._cursor.looked_at, now)
            and not any(window.holds(getattr(row, self.moment)) for window in self._finished)
        ]
        if rows:
            async with aclosing(self.again(rows)) as pages:
                async for page in pages:
                    yield page
        self._cursor = self._cursor.model_copy(update={"looked_at": now})
        yield Page(stream=self.stream, cursor=self._cursor)

    async def stored(self, read: Any, *arguments: Any) -> Any:
        """Ask the database about the account's records."""
        return await stored(self.run, read, self.record.table, self.run.account.account_id, *arguments)
