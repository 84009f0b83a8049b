"""Reading a list that can only be filtered by time: what is new first, then history, then what was not ready.

An item appears late and changes later, and the list tells neither: so the latest stretch is read anew by every
sync, a longer one daily, all that was ever read weekly (what is shared, edited or deleted late shows nowhere
else), and what has no transcript yet at ages of its own. Only times stay true for weeks; a page cursor dies within
the hour and never leaves the walk that got it. No position lies in the vendor's future, whatever our clock says.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic

from ingest_assets.errors import CursorExpired, SourceError
from ingest_assets.sources.client.clock import VendorClock
from ingest_assets.sources.concurrency import ahead
from ingest_assets.sources.login import C, O, S
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.record import Record
from ingest_assets.sources.source import DAY, Extraction, Page, Store
from ingest_assets.sources.time_window_plan import Reach, Window, WindowsCursor, plan
from ingest_assets.sources.times import BEGINNING
from ingest_assets.sources.transcript_state import UNREADY, due
from ingest_assets.storage.schema import StoredRow

CONFIRMATIONS = 50  # absent items that one sync asks for by id; the next one goes on
ROOM = 1.25  # in a piece of a window, for times with more items: one that holds too many is listed in vain
RESTARTS = 2  # of a window whose page cursor died
PRESENCE = "presence"  # the part that is unreadable where the vendor does not tell whether an item still exists


@dataclass(frozen=True)
class Listed:
    """Items of a window; or, where there turned out to be too many, how many pieces to cut it into."""

    items: Sequence[Any] = ()
    pieces: int = 1


class WindowReader(ABC, Generic[C, S, O]):
    """One account's items, window after window. A source says how to list, to join and to confirm."""

    record: ClassVar[type[Record]]
    stream: ClassVar[str]
    look_back: ClassVar[timedelta]
    moment: ClassVar[str]
    """The column that the vendor filters a list by."""

    kinds: ClassVar[tuple[str, ...]]
    """What can be unreadable of an item; a part's key is `kind:external_id`."""

    def __init__(
        self,
        run: Extraction[C, S, O],
        store: Store,
        clock: VendorClock,
        *,
        newest: int | None,
    ) -> None:
        self.run, self.newest, self._store, self._clock = run, newest, store, clock
        self.existing = run.existing(self.record)
        self.listed: set[str] = set()
        """Ids that the window under way has shown."""
        self._missed = run.missed
        self._asked: set[str] = set()
        """Parts that this sync has asked."""
        self._unreadable: list[UnreadablePart] = []
        self._read: list[str] = []
        self._finished: list[Window] = []
        self._confirmations = CONFIRMATIONS
        position = run.cursors.get(self.stream)
        known = None if position is None else WindowsCursor.model_validate(position)
        reach = Reach(
            history=run.history,
            look_back=self.look_back,
            wide=newest is None,
            all_read=run.settings.last_hours is None,
        )
        self._is_first = known is None
        self._covered_before = BEGINNING if known is None else min(known.covered_to, run.started_at)
        self._cursor = plan(known, run.started_at, reach)

    @abstractmethod
    def listing(self, window: Window) -> AsyncGenerator[Listed]:
        """Yield the window's items, in the vendor's order."""

    @abstractmethod
    def listed_at(self, item: object) -> datetime | None:
        """Return an item's time, None where it has none that can be read."""

    @abstractmethod
    async def page(self, items: Sequence[object], *, deep: bool) -> Page:
        """Join items with their transcripts; note their ids in `listed`."""

    @abstractmethod
    async def exists(self, external_id: str, *, tries: int) -> bool:
        """Ask whether the vendor still shows an item. Raises SourceError where the answer does not tell."""

    @abstractmethod
    async def again(self, rows: Sequence[StoredRow]) -> None:
        """Look again at stored items without a transcript (external_id and moment)."""

    async def doubted(self, _columns: Sequence[str]) -> Sequence[StoredRow]:
        """Return columns of stored items of which it is to be seen whether the login is still shown them."""
        return []

    @abstractmethod
    def called(self, part: str) -> str:
        """Return what an operator calls a part."""

    @property
    def unread(self) -> Sequence[Window]:
        """What is to be read, oldest first."""
        return self._cursor.unread

    def history_waits(self) -> datetime | None:
        """Return until when reading history has to wait for the day's requests."""
        return None

    def may_ask(self, part: str) -> bool:
        """Tell whether a part is due; what could not be read rests for ever longer pauses."""
        return self.run.parts.due(part)

    async def part_failed(self, part: str, error: SourceError) -> None:
        """Note a part that cannot be read. Raises what the login answers, where it is the account's fault."""
        self._asked.add(part)
        noted = await self.run.parts.failed(part, self.called(part), error)
        self._read = [one for one in self._read if one != part]
        self._unreadable.append(noted)

    def part_read(self, part: str) -> None:
        """Note a part that was read to its end."""
        self._asked.add(part)
        self._unreadable = [one for one in self._unreadable if one.part != part]
        self._read += self.run.parts.succeeded(part)

    def _forget(self, external_ids: Iterable[str]) -> None:
        """Drop what is noted of items that are gone, or of which it is known that they are there."""
        for part in (f"{kind}:{external_id}" for external_id in external_ids for kind in (*self.kinds, PRESENCE)):
            if self.run.parts.known(part):
                self.part_read(part)

    async def store(self, page: Page) -> None:
        """Store a page, and with it what became of parts since the page before."""
        unreadable, read = self._unreadable, self._read
        self._unreadable, self._read = [], []
        if shown := self._missed & self.listed:
            page = replace(page, shown=sorted(shown))
        await self._store(replace(page, unreadable=unreadable, read=read) if unreadable or read else page)

    async def _store_position(self) -> None:
        present = self._clock.earlier(self.run.started_at)
        await self.store(Page(stream=self.stream, cursor=self._cursor.until(present, self._covered_before)))

    async def read(self) -> None:
        """Read the newest window, then what was not ready, then the other windows, oldest first.

        A first sync looks for what was not ready in the end, as nothing was stored before.
        """
        self.run.progress.expect(_days(self._cursor.unread), "days", self.run.clock.now())
        live = True
        while live and self._cursor.unread:
            window = self._cursor.unread[-1]
            await self._window(window)
            live = window not in self._finished  # it was cut: its newest piece comes next
        if not self._is_first:
            await self._unready()
        await self._history()
        if self._is_first:
            await self._unready()

    async def _history(self) -> None:
        while window := self._oldest_wanted():
            if until := self.history_waits():
                self.run.skipped["history"] = f"waits until {until:%Y-%m-%d %H:%M} UTC for its share of requests"
                return
            await self._window(window)

    def _oldest_wanted(self) -> Window | None:
        """Return the oldest window that this sync is to read; what lies after `history_until` is cut off it."""
        until = self.run.history_until
        for window in self._cursor.unread[:1]:
            if until is None or window.until <= until:
                return window
            if window.since < until:
                before, after = window.cut(until)
                self._cursor = self._cursor.replacing(window, [before, after])
                return before
        return None

    async def _window(self, window: Window) -> None:
        """Read a window to its end, or cut it."""
        for attempt in range(RESTARTS + 1):
            self.listed = set()
            try:
                async with aclosing(ahead(self._capped(window))) as listings:
                    async for listed in listings:
                        await self.store(await self.page(listed.items, deep=window.deep))
            except CursorExpired:
                if attempt == RESTARTS:
                    raise
            else:
                break
        if window not in self._cursor.unread:
            return
        self._finished.append(window)
        self._cursor = self._cursor.replacing(window, [])
        self.run.progress.leave(_days(self._cursor.unread))
        if self.newest is None:
            held = await self.existing.ids_between(self.moment, window.since, window.until)
            if gone := await self.gone(sorted(held - self.listed)):
                await self.store(Page(gone=gone, part=f"{window.since:%Y-%m-%d} to {window.until:%Y-%m-%d}"))
        await self._store_position()

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
            if (older := len(everything) - self.newest) > 0:
                self.run.left_out[f"older than the newest {self.newest}"] += older
            yield Listed(everything[: self.newest])

    async def gone(self, external_ids: Sequence[str]) -> list[str]:
        """Return those of some items that the vendor does not know by id either."""
        sought = [one for one in external_ids if one not in self.run.kept and self.may_ask(f"{PRESENCE}:{one}")]
        asked = sought[: self._confirmations]
        self._confirmations -= len(asked)
        gone = []
        for external_id in asked:
            part = f"{PRESENCE}:{external_id}"
            try:
                exists = await self.exists(external_id, tries=self.run.parts.tries(part))
            except SourceError as error:
                await self.part_failed(part, error)
                continue
            self.part_read(part)
            if exists:
                self.listed.add(external_id)
            else:
                gone.append(external_id)
        self._forget(gone)
        return gone

    async def _unready(self) -> None:
        """Look again at what no window of this sync held, ever more rarely, and at unreadable parts."""
        columns = ["external_id", self.moment, "first_seen_at"]
        now = self.run.started_at
        rows = [
            row
            for row in await self.existing.where_any("transcript_state", UNREADY, columns)
            if due(row.first_seen_at, self._cursor.looked_at, now)
            and not any(window.holds(getattr(row, self.moment)) for window in self._finished)
        ]
        rows += await self._waiting({row.external_id for row in rows})
        rows += await self.doubted(columns)
        if rows:
            await self.again(rows)
        if gone := await self.gone(sorted(self._waiting_ids((PRESENCE,)))):
            await self.store(Page(gone=gone))
        self._cursor = self._cursor.model_copy(update={"looked_at": now})
        await self._store_position()

    async def _waiting(self, others: set[str]) -> list[Any]:
        """Return the rows of items of which a part is to be asked again; drop the parts of items that are gone."""
        ids = self._waiting_ids(self.kinds) - others
        if not ids:
            return []
        rows = await self.existing.by_id(sorted(ids), [self.moment, "deleted_at"])
        living = {external_id: row for external_id, row in rows.items() if row.deleted_at is None}
        self._forget(ids - set(living))
        return list(living.values())

    def _waiting_ids(self, kinds: Iterable[str]) -> set[str]:
        waiting = {part for kind in kinds for part in self.run.parts.waiting(f"{kind}:")} - self._asked
        return {part.partition(":")[2] for part in waiting}


def _days(windows: Iterable[Window]) -> float:
    return sum((window.until - window.since) / DAY for window in windows)
