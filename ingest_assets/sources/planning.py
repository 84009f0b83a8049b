"""What reading costs before it is read: counts from a few requests, with what they may be wrong by.

A vendor that gives no count is sampled: the first page of each of some pieces of time. Where a piece has more, its
rate there is taken for all of the piece, as lists begin with what is newest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Any

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.time_window_plan import Window

SURE = 2  # standard deviations: in 19 of 20 cases the number lies within
INSTANT = timedelta(seconds=1)
FEW = 8  # items of a page
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
    def span(self) -> timedelta:
        """Return how much of the time the items are from."""
        since = self.window.since if self.oldest is None or not self.more else self.oldest
        return max(self.window.until - since, INSTANT)

    @property
    def unseen(self) -> float:
        """Return how many items the stretch seems to have behind the page."""
        return self.count.likely - len(self.items) if self.more else 0.0

    @property
    def guessed(self) -> float:
        """Return how many items were not seen, where the page shows less than half of the time."""
        return self.unseen if self.window.until - self.window.since > 2 * self.span else 0.0

    @property
    def count(self) -> Amount:
        """Return how many items the whole stretch has."""
        seen = len(self.items)
        if not self.more or not seen or self.oldest is None:
            return Amount(seen)
        share = (self.window.until - self.window.since) / self.span
        return Amount(max(seen, (seen - HALF) * share), seen * share**2)


FirstPage = Callable[[Window], Awaitable[Look]]


async def looks(first_page: FirstPage, window: Window, most: int, whole: int = 0) -> list[Look]:
    """Look at a window, and at the older half of whatever piece most is guessed of, as long as that tells more.

    It takes `most` requests at most, and no more than half as many as the window seems to have pages; three times
    as many where one piece decides, as after a day on which much was said. What seems to have no more than `whole`
    pages is looked at page by page: of so few, a sample would tell too little.
    """
    found = [await first_page(window)]
    while cut := _few_pages(found, whole) or _half(found, most):
        piece, moment = cut
        older, newer = piece.window.cut(moment)
        found.remove(piece)
        seen = replace(piece, window=newer, more=newer.since != piece.oldest)
        found += [seen, await first_page(older)]
    return found


def _few_pages(found: Sequence[Look], whole: int) -> tuple[Look, datetime] | None:
    """Return the piece whose next page is to be looked at, and where it begins, if there are few pages in all."""
    size = max(len(look.items) for look in found)
    pieces = [look for look in found if look.unseen]
    if not pieces or len(found) > whole or total(found).likely > whole * size:
        return None
    widest = max(pieces, key=lambda look: look.unseen)
    return None if widest.oldest is None else (widest, widest.oldest)


def _half(found: Sequence[Look], most: int) -> tuple[Look, datetime] | None:
    """Return the piece of which most is guessed, and its middle, if looking there tells more."""
    pieces = [look for look in found if look.guessed]
    if most <= 1 or not pieces:
        return None
    widest = max(pieces, key=lambda look: look.guessed)
    count = total(found).likely
    decides = widest.guessed > count / 2 and len(found) > 1
    allowed = min(3 * most if decides else most, ceil(count / max(1, len(widest.items)) / 2))
    since, until = widest.window.since, widest.window.until
    return (widest, since + (until - since) / 2) if len(found) < max(2, allowed) else None


def total(found: Sequence[Look]) -> Amount:
    """Return how many items a window has, by the looks at its pieces.

    A few items may have come in a moment, and tell nothing of a piece: then all are taken together.
    """
    if not any(look.more and len(look.items) < FEW for look in found):
        return sum((look.count for look in found), Amount())
    seen = sum(len(look.items) for look in found)
    whole = sum((look.window.until - look.window.since for look in found), timedelta(0))
    share = max(1.0, whole / max(sum((look.span for look in found), timedelta(0)), INSTANT))
    return Amount(seen * share, (seen + 1) * share**2)


def pages(items: Amount, size: int) -> Amount:
    """Return how many pages hold so many items: one at least."""
    return Amount(max(1, ceil(items.likely / size)), items.variance / size**2)


def over(items: Amount, values: Sequence[float]) -> Amount:
    """Estimate the sum of a value over all items from the values of a sample."""
    if not values:
        return Amount()
    middle = mean(values)
    spread = sum((one - middle) ** 2 for one in values) / max(1, len(values) - 1)
    unseen = max(0.0, items.likely - len(values))
    by_chance = Amount(0, spread * unseen * items.likely / len(values))
    return items.times(middle) + by_chance


def minutes(*used: tuple[float, float]) -> float:
    """Return how long it takes, from pairs of what is used and how much of it a minute grants."""
    return max((use / granted for use, granted in used if use > granted), default=0.0)


def mean(sizes: Sequence[float]) -> float:
    """Return an average; 0 of nothing."""
    return sum(sizes) / len(sizes) if sizes else 0.0
