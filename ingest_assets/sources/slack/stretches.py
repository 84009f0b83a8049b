"""Stretches of a channel's time, each with the moment when it was looked at last: what an audit works through.

An audit walks from new to old. Where it has come to, a stretch that was just looked at lies above one that was
looked at long ago; there it goes on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from ingest_assets.sources.slack.records import at, ts_of

MICROSECOND = timedelta(microseconds=1)
GRAIN = 8
"""Into so many parts of its period an audit divides its memory: neighbours read within one are one stretch."""


class Range(BaseModel):
    """A stretch of a channel's time, both ends included."""

    oldest: str
    latest: str


class Stretch(Range):
    """A range of which everything is known as it was at a moment."""

    read_at: datetime


Stretches = Sequence[Stretch]
"""Newest first, each beginning where the one before it ends."""


def just_before(ts: str) -> str:
    """Return the ts before one: as an end of a range it leaves the message itself within."""
    return ts_of(at(ts) - MICROSECOND)


def just_after(ts: str) -> str:
    """Return the ts after one."""
    return ts_of(at(ts) + MICROSECOND)


def extended(
    known: Stretches, zone: Range, *, above: datetime, below: datetime, period: timedelta
) -> list[Stretch]:
    """Fit to a zone, of which `above` and `below` tell when it was read what lies at the two ends.

    What is older than the zone is no longer kept.
    """
    known = [
        one.model_copy(update={"oldest": max(one.oldest, zone.oldest)})
        for one in known
        if one.latest > zone.oldest
    ]
    if zone.oldest >= zone.latest:
        return known
    if not known:
        return [Stretch(oldest=zone.oldest, latest=zone.latest, read_at=below)]
    grown, newest, oldest = list(known), known[0], known[-1]
    if zone.latest > newest.latest:
        one = Stretch(oldest=newest.latest, latest=zone.latest, read_at=above)
        if abs(above - newest.read_at) < period / GRAIN:
            grown[0] = one.model_copy(update={"oldest": newest.oldest, "read_at": min(above, newest.read_at)})
        else:
            grown.insert(0, one)
    if zone.oldest < oldest.oldest:
        grown.append(Stretch(oldest=zone.oldest, latest=oldest.oldest, read_at=below))
    return grown


def marked(known: Stretches, done: Range, now: datetime, period: timedelta) -> list[Stretch]:
    """Take note that a range was looked at."""
    pieces = [Stretch(oldest=done.oldest, latest=done.latest, read_at=now)]
    for one in known:
        if one.latest > done.latest:
            pieces.append(one.model_copy(update={"oldest": max(one.oldest, done.latest)}))
        if one.oldest < done.oldest:
            pieces.append(one.model_copy(update={"latest": min(one.latest, done.oldest)}))
    return _joined(sorted(pieces, key=lambda one: one.latest, reverse=True), period)


def longest_ago(known: Stretches) -> datetime | None:
    """Return since when all of it was looked at."""
    return min((one.read_at for one in known), default=None)


def next_latest(known: Stretches, now: datetime, period: timedelta) -> str:
    """Return from where to walk down: the upper end of what was looked at longest ago, and of what follows soon.

    What lies above it and will have its turn in the next half of the period costs no request of its own then.
    """
    place = min(range(len(known)), key=lambda place: known[place].read_at)
    while place > 0 and now - known[place - 1].read_at > period / 2:
        place -= 1
    return known[place].latest


def _joined(pieces: Stretches, period: timedelta) -> list[Stretch]:
    """Join neighbours that were read one after the other, from new to old, within a grain."""
    joined = [pieces[0]]
    for one in pieces[1:]:
        above = joined[-1]
        if timedelta(0) <= one.read_at - above.read_at < period / GRAIN:
            joined[-1] = above.model_copy(update={"oldest": one.oldest})
        else:
            joined.append(one)
    return joined
