"""Which part of time to list now: what is new, what an earlier sync did not finish, what may have changed.

Only times stay true for weeks; a page cursor dies within the hour and never leaves the walk that got it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from pydantic import BaseModel

LOOK_BACK, DEEP_LOOK_BACK = timedelta(days=1), timedelta(days=7)
"""A call appears only once Gong has processed it, and is edited later: read anew hourly, and daily."""
RHYTHM = timedelta(days=1)
CALLS_A_WINDOW = 1000  # 20 requests with transcripts: far within the hour that a page cursor lives
SHORTEST = timedelta(hours=1)


class Window(BaseModel):
    """A stretch of time, from inclusive, until exclusive."""

    since: datetime
    until: datetime
    deep: bool = False
    """Read the transcripts again too, whether the call changed or not."""

    def split(self, total: int) -> list["Window"]:
        """Cut a window that holds too much into pieces, oldest first."""
        pieces = min(ceil(total / CALLS_A_WINDOW), int((self.until - self.since) / SHORTEST))
        if pieces <= 1:
            return [self]
        step = (self.until - self.since) / pieces
        cuts = [self.since + step * place for place in range(pieces)] + [self.until]
        return [self.model_copy(update={"since": since, "until": until}) for since, until in pairwise(cuts)]


class GongCursor(BaseModel):
    """What we hold: all from `covered_from` to `covered_to` but the unread windows."""

    covered_from: datetime
    covered_to: datetime
    unread: list[Window] = []
    """Oldest first; the last one is the live one."""
    deep_at: datetime
    looked_at: datetime
    """When unready calls outside the windows were last looked at."""

    def without(self, window: Window) -> "GongCursor":
        return self.model_copy(update={"unread": [one for one in self.unread if one != window]})

    def replacing(self, window: Window, pieces: Sequence[Window]) -> "GongCursor":
        unread = [piece for one in self.unread for piece in (pieces if one == window else [one])]
        return self.model_copy(update={"unread": unread})


def plan(cursor: GongCursor | None, now: datetime, history: timedelta) -> GongCursor:
    """Put what this sync should read into `unread`."""
    start = now - history
    if cursor is None:
        whole = Window(since=start, until=now)
        return GongCursor(covered_from=start, covered_to=now, unread=[whole], deep_at=now, looked_at=now)
    deep = now - cursor.deep_at >= RHYTHM
    unread = [window for window in cursor.unread if window.until > start]
    if start < cursor.covered_from:  # the history setting was raised
        unread.insert(0, Window(since=start, until=cursor.covered_from))
    since = max(cursor.covered_to - (DEEP_LOOK_BACK if deep else LOOK_BACK), start)
    return cursor.model_copy(
        update={
            "covered_from": min(start, cursor.covered_from),
            "covered_to": now,
            "unread": [*unread, Window(since=since, until=now, deep=deep)],
            "deep_at": now if deep else cursor.deep_at,
        }
    )
