"""Times as vendors write them: ISO 8601, with whichever offset."""

from datetime import UTC, datetime, timedelta

BEGINNING = datetime.min.replace(tzinfo=UTC)
ALMOST_A_SECOND = timedelta(microseconds=999_999)


def at(moment: str) -> datetime:
    """Read a time that names its offset. Raises ValueError for one that does not."""
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        raise ValueError("a time without an offset")
    return parsed.astimezone(UTC)


def whole_seconds(since: datetime, until: datetime) -> tuple[str, str]:
    """Write a range in whole seconds that holds at least all of it."""
    return _iso(since), _iso(until + ALMOST_A_SECOND)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
