"""What reading costs before it is read: counts from a few requests, with what they may be wrong by.

A vendor that gives no count is sampled: the first page of each of some pieces of time. Where a piece has more, its
rate there is taken for all of the piece, as lists begin with what is newest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Any

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.time_window_plan import Window

SURE = 2  # standard deviations: in 19 of 20 cases the number lies within
INSTANT = timedelta(seconds=1)
HALF = 0.5  # the oldest item of a page ends the time that it took: the next one is not quite due


@dataclass(frozen=True)
class Amount:
    """A number, and the variance of what it may be wrong by."""

    likely: float = 0.0
    variance: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.likely + other.likely, self.variance + other.variance)

    def times(self, factor: float) -> "Amount":
        return Amount(self.likely * factor, self.variance * factor**2)

    def less(self, known: float) -> "Amount":
        return Amount(max(0.0, self.likely - known), self.variance)

    @property
    def least(self) -> float:
        return max(0.0, self.likely - SURE * sqrt(self.variance))

    @property
    def most(self) -> float:
        return self.likely + SURE * sqrt(self.variance)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What it costs to read an account to its end."""

    items: Amount
    """Of the source's first record."""
    calls: Mapping[str, Amount]
    """By method."""
    each_sync: Mapping[str, float] = field(default_factory=dict)
    """Those of `calls` that another sync would make again, where one is too short for all."""
    minutes: float
    """Under the vendor's limits; 0: within those of the first minute."""
    item_bytes: float
    """Of an item, on average."""
    notes: Sequence[str] = ()
    samples: Sequence[JsonView] = ()
    """Payloads of items, as they would be stored."""


@dataclass(frozen=True)
class Look:
    """The first page of a stretch of time."""

    window: Window
    items: Sequence[Any]
    more: bool
    oldest: datetime | None

    @property
    def count(self) -> Amount:
        """Return how many items the whole stretch has."""
        seen = len(self.items)
        if not self.more or not seen or self.oldest is None:
            return Amount(seen)
        whole = self.window.until - self.window.since
        share = whole / max(self.window.until - self.oldest, INSTANT)
        return Amount(max(seen, (seen - HALF) * share), seen * share**2)


async def looks(
    first_page: Callable[[Window], Awaitable[Look]], windows: Sequence[Window], most: int
) -> list[list[Look]]:
    """Look at windows, those that have more than a page in pieces; return the looks of each window.

    A window gets `most` pieces at most, and no more than half as many as it seems to have pages.
    """
    found = []
    for window in windows:
        look = await first_page(window)
        pieces = min(most, max(2, ceil(look.count.likely / max(1, len(look.items)) / 2)))
        enough = pieces == 1 or not look.more
        found.append([look] if enough else [await first_page(one) for one in window.split(pieces)])
    return found


def total(found: Sequence[Look]) -> Amount:
    """Sum up the counts of some looks."""
    return sum((look.count for look in found), Amount())


def pages(items: Amount, size: int) -> Amount:
    """Return how many pages hold so many items: one at least."""
    return Amount(max(1, ceil(items.likely / size)), items.variance / size**2)


def minutes(*used: tuple[float, float]) -> float:
    """Return how long it takes, from pairs of what is used and how much of it a minute grants."""
    return max((use / granted for use, granted in used if use > granted), default=0.0)


def mean(sizes: Sequence[float]) -> float:
    """Return an average; 0 of nothing."""
    return sum(sizes) / len(sizes) if sizes else 0.0
