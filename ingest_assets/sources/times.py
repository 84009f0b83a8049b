"""Times as vendors write them: ISO 8601, with whichever offset."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

BEGINNING = datetime.min.replace(tzinfo=UTC)
ALMOST_A_SECOND = timedelta(microseconds=999_999)


def at(moment: str, *, assumed: tzinfo | None = None) -> datetime:
    """Read a time that names its offset, or whose offset is documented. Raises ValueError for any other."""
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        if assumed is None:
            raise ValueError("a time without an offset")
        parsed = parsed.replace(tzinfo=assumed)
    return parsed.astimezone(UTC)


def first_time(*moments: Any, assumed: tzinfo | None = None) -> datetime:
    """Return the first of some values that is a time. Raises ValueError where none is."""
    for moment in moments:
        try:
            return at(moment, assumed=assumed)
        except (TypeError, ValueError, OverflowError):
            continue
    raise ValueError("no time that can be read")


def whole_seconds(since: datetime, until: datetime) -> tuple[str, str]:
    """Write a range in whole seconds that holds at least all of it."""
    return _iso(since), _iso(until + ALMOST_A_SECOND)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
