"""Stretches of a channel's time, each with the moment when it was looked at last: what an audit works through.

An audit walks from new to old. Where it has come to, a stretch that was just looked at lies above one that was
looked at long ago; there it goes on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pydantic import BaseModel

from ingest_assets.sources.slack.records import at, ts_of

MICROSECOND = timedelta(microseconds=1)
MOST = 36
"""So many stretches an audit remembers of a channel: those that were read soonest after each other become one.

All of that one counts as read when its first was, and so is due sooner: with 12, a quarter more was asked for.
"""
NEW = 12
"""So many stretches of a period hold what has become old enough to be audited."""


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
        if timedelta(0) <= above - newest.read_at < period / NEW:
            grown[0] = newest.model_copy(update={"latest": zone.latest})
        else:
            grown.insert(0, Stretch(oldest=newest.latest, latest=zone.latest, read_at=above))
    if zone.oldest < oldest.oldest:
        grown.append(Stretch(oldest=zone.oldest, latest=oldest.oldest, read_at=below))
    return _joined(grown)


def marked(known: Stretches, done: Range, now: datetime) -> list[Stretch]:
    """Take note that a range was looked at."""
    pieces = [Stretch(oldest=done.oldest, latest=done.latest, read_at=now)]
    for one in known:
        if one.latest > done.latest:
            pieces.append(one.model_copy(update={"oldest": max(one.oldest, done.latest)}))
        if one.oldest < done.oldest:
            pieces.append(one.model_copy(update={"latest": min(one.latest, done.oldest)}))
    return _joined(sorted(pieces, key=lambda one: one.latest, reverse=True))


def longest_ago(known: Stretches) -> datetime | None:
    """Return since when all of it was looked at."""
    return min((one.read_at for one in known), default=None)


def most_due(known: Stretches, now: datetime, period: timedelta) -> Range:
    """Return what was looked at longest ago, and beside it what will have its turn in the next half of the period.

    Of several that were read together the oldest comes first: there a walk from new to old has come to.
    """
    ago = min(one.read_at for one in known)
    first = last = max(place for place, one in enumerate(known) if one.read_at == ago)
    while first > 0 and now - known[first - 1].read_at > period / 2:
        first -= 1
    while last + 1 < len(known) and now - known[last + 1].read_at > period / 2:
        last += 1
    return Range(oldest=known[last].oldest, latest=known[first].latest)


def _joined(pieces: list[Stretch]) -> list[Stretch]:
    """Join the neighbours that were read soonest after each other, as long as there are too many."""
    while len(pieces) > MOST:
        pairs = list(pairwise(pieces))
        place = min(range(len(pairs)), key=lambda place: abs(pairs[place][0].read_at - pairs[place][1].read_at))
        above, below = pairs[place]
        read_at = min(above.read_at, below.read_at)
        pieces[place : place + 2] = [Stretch(oldest=below.oldest, latest=above.latest, read_at=read_at)]
    return pieces
