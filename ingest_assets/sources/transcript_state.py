"""When a conversation's transcript is there, and when to look again: the same for calls and for sessions.

    listed -> details -> pending -> ready
                            |         |
                          none    withdrawn         (the whole item gone: deleted_at)

A vendor shows a recording before its transcript, by minutes or by days, and never says that none will come.
So no state but `ready` is final: what is not ready is looked at again at ages that grow by a quarter each time.
"""

import math
from datetime import datetime, timedelta
from typing import Final

LISTED: Final = "listed"
"""Seen, without its details."""
PENDING: Final = "pending"
"""With details; its transcript may still come."""
READY: Final = "ready"
NONE: Final = "none"
"""No transcript for a week: most likely there was no speech."""
WITHDRAWN: Final = "withdrawn"
"""There was a transcript and the vendor shows it no more."""

UNREADY: Final = (LISTED, PENDING, NONE, WITHDRAWN)
HOPE = timedelta(days=7)
FIRST_AGE = timedelta(minutes=15)
GROWTH = 1.25


def state_of(*, details: bool, transcript: bool, was: str | None, age: timedelta) -> str:
    """Return where a conversation stands, given where it stood."""
    if transcript:
        return READY
    if was in (READY, WITHDRAWN):
        return WITHDRAWN
    if not details:
        return LISTED
    return PENDING if age < HOPE else NONE


def due(seen_first: datetime, looked_last: datetime, now: datetime) -> bool:
    """Return whether an age at which to look again was passed since the last look."""
    return _step(now - seen_first) > _step(looked_last - seen_first)


def _step(age: timedelta) -> int:
    return math.floor(math.log(max(age / FIRST_AGE, 1), GROWTH))
