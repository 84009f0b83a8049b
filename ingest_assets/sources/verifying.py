"""Which ranges of time `verify` looks at."""

from datetime import datetime

FEWEST, MOST = 4, 20  # ranges of one account


def ranges(sample: int) -> int:
    """Return how many ranges of time are looked at where so many items are."""
    return min(max(sample // 20, FEWEST), MOST)


def pieces(since: datetime, until: datetime, count: int) -> list[tuple[datetime, datetime]]:
    """Cut a stretch of time into equal pieces, oldest first: a gap of twice that length is met for certain."""
    step = (until - since) / count
    return [(since + step * place, since + step * (place + 1)) for place in range(count)] if until > since else []


def named(since: datetime, until: datetime) -> str:
    """Name a range."""
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
