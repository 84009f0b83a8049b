"""Which windows of time a sync reads, and what a cursor of windows holds: pure functions of it and of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from pydantic import BaseModel

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.locating import Covered
from ingest_assets.sources.times import BEGINNING

DEEP_LOOK_BACK = timedelta(days=7)
DEEP_RHYTHM = timedelta(days=1)
WIDE_RHYTHM = timedelta(days=7)
SHORTEST = timedelta(hours=1)
LONGEST, LEAST = timedelta(days=30), timedelta(days=2)
"""History is read in windows of at most so long, each of which a sync that is cut may have to begin again; what is
longer by less than the second needs no window of its own."""
MOST_PIECES = 50  # of one cut; what is still too much is cut again, and a wrong total costs no more requests
CLOCK_TOLERANCE = timedelta(minutes=2)  # clocks that are set by NTP differ by less


class Window(BaseModel):
    """A stretch of time, from inclusive, until exclusive."""

    since: datetime
    until: datetime
    deep: bool = False
    """Read the transcripts again too, whether the item changed or not."""

    def split(self, pieces: int) -> list["Window"]:
        """Cut a window that holds too much, oldest first; a short one stays whole."""
        pieces = min(pieces, MOST_PIECES, int((self.until - self.since) / SHORTEST))
        if pieces <= 1:
            return [self]
        step = (self.until - self.since) / pieces
        cuts = [self.since + step * place for place in range(pieces)] + [self.until]
        return [self.model_copy(update={"since": since, "until": until}) for since, until in pairwise(cuts)]

    def cut(self, moment: datetime) -> tuple["Window", "Window"]:
        """Cut in two at a moment within."""
        return self.model_copy(update={"until": moment}), self.model_copy(update={"since": moment})

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


def windows(since: datetime, until: datetime) -> list[Window]:
    """Cut history into windows, oldest first."""
    count = max(1, ceil((until - since - LEAST) / LONGEST)) if since < until else 0
    step = (until - since) / max(count, 1)
    ends = [since + step * place for place in range(count)] + [until]
    return [Window(since=begin, until=end) for begin, end in pairwise(ends)]


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

    def until(self, present: datetime, before: datetime) -> "WindowsCursor":
        """Take back what lies in the vendor's future; `before`: what was covered without this sync."""
        moments = {name: min(getattr(self, name), present) for name in ("deep_at", "wide_at", "looked_at")}
        return self.model_copy(update=moments | {"covered_to": max(min(self.covered_to, present), before)})


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a reader looks."""

    history: timedelta
    look_back: timedelta
    wide: bool = True
    """Look at everything weekly."""
    all_read: bool = True
    """Everything is all that was ever read, also what is older than the history by now."""


def plan(cursor: WindowsCursor | None, now: datetime, reach: Reach) -> WindowsCursor:
    """Put what this sync should read into `unread`."""
    start = now - reach.history
    if cursor is None:
        history = windows(start, now)
        return WindowsCursor(
            covered_from=start, covered_to=now, unread=history, deep_at=now, wide_at=now, looked_at=now
        )
    oldest = min(start, cursor.covered_from) if reach.all_read else start
    deep = _due(cursor.deep_at, now, DEEP_RHYTHM)
    unread = [window for window in cursor.unread if oldest < window.until and window.since < window.until]
    unread[:0] = windows(start, cursor.covered_from)  # more history may be wanted than before
    since = max(cursor.covered_to - (DEEP_LOOK_BACK if deep else reach.look_back), start)
    if cursor.covered_to > now + CLOCK_TOLERANCE:  # a clock was wrong, and nobody knows how much was read
        since, unread = start, [window for window in unread if window.until <= start]
    wide = reach.wide and not unread and oldest < since and _due(cursor.wide_at, now, WIDE_RHYTHM)
    if wide:
        unread = [Window(since=oldest, until=since)]
    return cursor.model_copy(
        update={
            "covered_from": min(start, cursor.covered_from),
            "covered_to": now,
            "unread": [*unread, Window(since=min(since, now), until=now, deep=deep)],
            "deep_at": now if deep else cursor.deep_at,
            "wide_at": now if wide else cursor.wide_at,
            "looked_at": min(cursor.looked_at, now),
        }
    )


def reread(_stream: str, cursor: Json) -> Json | None:
    """Return a cursor of windows that has all that it covers to be read again; None for another one."""
    if "unread" not in cursor:
        return None
    held = WindowsCursor.model_validate(cursor)
    whole = Window(since=held.covered_from, until=held.covered_to, deep=True)
    return held.model_copy(update={"unread": [whole]}).model_dump(mode="json")


def _due(last: datetime, now: datetime, rhythm: timedelta) -> bool:
    """Tell whether a rhythm's time has come; also where the last time lies in the future."""
    return not timedelta(0) <= now - last < rhythm


def covered_by(cursor: Json | None) -> Covered | None:
    """Return what a stored cursor says was read; None where there is none."""
    if cursor is None:
        return None
    held = WindowsCursor.model_validate(cursor)
    unread = [(one.since, one.until) for one in held.unread]
    return Covered(since=held.covered_from, until=held.covered_to, unread=unread)
