"""Which part of a channel's time to read now: what is new, and what may have changed; the rest is for `unread`.

A channel's cursor says what is covered and what of it is still unread, as ranges of ts. Only such
positions stay true for weeks; a page cursor never leaves the walk that got it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel

from ingest_assets.sources.slack.records import ts_of
from ingest_assets.sources.slack.stretches import Range, Stretch

THREADS_REREAD = timedelta(days=3)
"""For so long after its last reply a thread is read anew daily: an edited reply leaves no trace on its parent."""
THREADS_RHYTHM = timedelta(days=1)

RHYTHM = ((timedelta(days=2), timedelta(0)), (timedelta(days=14), timedelta(hours=1)))
"""(messages younger than, read anew at most every); what is older, up to the watch window, daily."""
LIMITED_RHYTHM = ((timedelta(hours=1), timedelta(0)), (timedelta(days=2), timedelta(days=1)))
"""The same for apps that get 15 messages a minute."""
OLD_RHYTHM = timedelta(days=1)
LIMITED_OLD_RHYTHM = timedelta(days=7)

TOLERANCE = timedelta(minutes=1)  # of clocks that are right
WHOLE_WINDOW_PAGES = 2  # a watch window that fits into so many requests is read anew by every sync


class Audited(BaseModel):
    """When the audit last looked at older messages and at threads, and in how many days it gets through them."""

    messages: list[Stretch] = []
    messages_days: float = 0
    threads: list[Stretch] = []
    threads_days: float = 0


class ChannelCursor(BaseModel):
    """What we hold of a channel: all from `covered_from` to `covered_to` but the unread ranges."""

    covered_from: str
    covered_to: str
    unread: list[Range] = []
    reread_at: dict[str, datetime] = {}
    """When each part of the watch window was last read whole, by its age in days."""
    threads_at: datetime
    archived: bool = False
    begun_at: datetime | None = None
    """When it was read for the first time; None if that was before this was noted."""
    audited: Audited = Audited()


@dataclass(frozen=True)
class Step:
    """One walk. The part of it above `fresh_from` has never been read: it stays unread until walked."""

    range: Range
    fresh_from: str


@dataclass(frozen=True)
class Plan:
    """The walks of one sync over a channel, and the cursor before them."""

    cursor: ChannelCursor
    steps: list[Step]
    reread: tuple[str, ...] = ()
    """The parts of the watch window that the steps cover."""
    stored: bool = False
    """Whether we hold anything of the watch window, to be compared with what is read."""
    left: tuple[Range, ...] = ()
    """What was never read and is none of the steps."""
    threads_since: str | None = None
    """Read threads anew whose last reply is younger, changed or not."""


@dataclass(frozen=True)
class Now:
    """The time by two clocks, ours and the vendor's, which may differ."""

    ours: datetime
    """For rhythms and settings, which concern nobody else."""
    earlier: datetime
    """What is read is covered up to here: nothing is passed over, whichever of the two is wrong."""
    later: datetime
    """What is asked for ends here."""


def healed(cursor: ChannelCursor, now: Now, newest: str | None) -> ChannelCursor:
    """Return the cursor that a right clock would have written, for one from the future.

    `newest`: the ts of the newest message that is stored. What came after it has not been read.
    """
    known = cursor.covered_from if newest is None else max(newest, cursor.covered_from)
    changed = {"covered_to": min(known, ts_of(now.earlier)), "reread_at": {}}
    return cursor.model_copy(update=changed | {"threads_at": min(cursor.threads_at, now.ours)})


def is_from_the_future(cursor: ChannelCursor, now: Now) -> bool:
    """Tell whether a cursor covers what cannot have been said."""
    return cursor.covered_to > ts_of(now.earlier + TOLERANCE)


def first_plan(now: Now, history: timedelta, watch: timedelta, *, limited: bool, stored: bool) -> Plan:
    """Plan for a channel that we have never read. `stored`: whether a sync that came to no cursor left rows."""
    whole = Range(oldest=ts_of(now.ours - history), latest=ts_of(now.later))
    cursor = ChannelCursor(
        covered_from=whole.oldest,
        covered_to=ts_of(now.earlier),
        unread=[whole],
        reread_at={part.key: now.ours for part in _parts(watch, limited)},
        threads_at=now.ours,
        begun_at=now.ours,
    )
    return Plan(cursor, [Step(whole, whole.oldest)], stored=stored)


def reaching(cursor: ChannelCursor, wanted_from: str) -> ChannelCursor:
    """Return the cursor where it is to reach back to a ts: what it did not cover is still to be read."""
    if wanted_from >= cursor.covered_from:
        return cursor
    before = Range(oldest=wanted_from, latest=cursor.covered_from)
    return cursor.model_copy(update={"covered_from": wanted_from, "unread": [*cursor.unread, before]})


def next_plan(
    cursor: ChannelCursor,
    now: Now,
    watch: timedelta,
    *,
    limited: bool,
    stored_pages: float,
) -> Plan:
    """Plan for a known channel: what is new, and what may have changed. What was never read is left for later.

    `stored_pages`: how many requests its watch window would cost.
    """
    start = ts_of(now.later)
    unread = [part for part in cursor.unread if part.oldest <= min(part.latest, start)]
    parts = _parts(watch, limited)
    due = [part for part in parts if stored_pages <= WHOLE_WINDOW_PAGES or part.due(cursor, now.ours)]
    deepest = max((part.age for part in due), default=timedelta(0))
    reread = tuple(part.key for part in parts if part.age <= deepest)
    new = Range(oldest=min(cursor.covered_to, start), latest=start)
    again_from = min(new.oldest, max(ts_of(now.earlier - deepest), cursor.covered_from))
    after = cursor.model_copy(
        update={
            "covered_to": ts_of(now.earlier),
            "unread": [new, *unread],
            # noted again when the channel is done: what was begun and not finished stays due
            "reread_at": {key: when for key, when in cursor.reread_at.items() if key not in reread},
        }
    )
    # only a walk through the whole watch window meets the parents of all threads
    threads_due = parts[-1].key in reread and not _within(cursor.threads_at, THREADS_RHYTHM, now.ours)
    threads_since = ts_of(now.earlier - THREADS_REREAD) if threads_due else None
    looked_at = _without(Range(oldest=again_from, latest=new.latest), unread)
    steps = [Step(part, fresh_from=new.oldest) for part in looked_at]
    left, stored = tuple(unread), stored_pages > 0
    return Plan(after, steps, reread, stored=stored, left=left, threads_since=threads_since)


def _without(whole: Range, holes: list[Range]) -> list[Range]:
    """Return what is left of a range, newest first; what only touches a hole is none."""
    left, latest = [], whole.latest
    for hole in sorted(holes, key=lambda hole: hole.latest, reverse=True):
        if hole.latest <= whole.oldest:
            break
        if hole.latest < latest:
            left.append(Range(oldest=hole.latest, latest=latest))
        latest = min(latest, hole.oldest)
    return [*left, Range(oldest=whole.oldest, latest=latest)] if whole.oldest < latest else left


def _within(last: datetime, rhythm: timedelta, now: datetime) -> bool:
    """Tell whether a moment is less than a rhythm ago; one that lies ahead is that of a clock which was wrong."""
    return timedelta(0) <= now - last < rhythm


@dataclass(frozen=True)
class _Part:
    """The watch window up to an age, and how often it is read anew."""

    age: timedelta
    rhythm: timedelta

    @property
    def key(self) -> str:
        return key_of(self.age)

    def due(self, cursor: ChannelCursor, now: datetime) -> bool:
        last = cursor.reread_at.get(self.key)
        return last is None or not _within(last, self.rhythm, now)


def key_of(age: timedelta) -> str:
    """Return what a part of the watch window is called."""
    return f"{age / timedelta(days=1):g}d"


def _parts(watch: timedelta, limited: bool) -> list[_Part]:
    """Cut the watch window by age."""
    young = LIMITED_RHYTHM if limited else RHYTHM
    oldest = _Part(watch, LIMITED_OLD_RHYTHM if limited else OLD_RHYTHM)
    return [*(_Part(age, rhythm) for age, rhythm in young if age < watch), oldest]


class Walk:
    """How far a walk through one range has come, whichever end Slack began with.

    Slack documents newest first, and some answers come oldest first. Two pages tell; from then on what
    lies behind the walk is done, and only the rest must be read again after a crash.
    """

    def __init__(self, whole: Range) -> None:
        self.remaining: Range = whole
        self._whole = whole
        self._spans: tuple[str, str] | None = None
        self._order: str | None = None

    def advance(self, seen: list[str]) -> None:
        """Take note of the ts of one page."""
        if not seen:
            return
        low, high = min(seen), max(seen)
        if self._spans is None:
            self._spans = (low, high)
            return
        order = "down" if high <= self._spans[0] else "up" if low >= self._spans[1] else "mixed"
        self._order = order if self._order in (None, order) else "mixed"
        self._spans = (min(low, self._spans[0]), max(high, self._spans[1]))
        match self._order:
            case "down":
                self.remaining = Range(oldest=self._whole.oldest, latest=low)
            case "up":
                self.remaining = Range(oldest=high, latest=self._whole.latest)
            case _:
                self.remaining = self._whole


def still_unread(remaining: Range, fresh_from: str) -> Range | None:
    """Return the part of a walk's rest that has never been read."""
    if remaining.latest <= fresh_from:
        return None
    return Range(oldest=max(remaining.oldest, fresh_from), latest=remaining.latest)
