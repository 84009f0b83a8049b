"""Headers that ask for a pause or tell a limit: Retry-After (RFC 9110) and RateLimit-*.

A value is a number of seconds, with a fraction or not, a moment (HTTP date, ISO 8601, epoch in seconds or in
milliseconds) or a duration such as "6m0s". What is none of these is ignored and counted.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

LONGEST_PAUSE = timedelta(hours=1)
"""No vendor may keep us waiting for longer: asking once an hour harms nobody."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_FROM = 1e9  # 2001 as an epoch; as a number of seconds it would be 31 years
MILLISECONDS_FROM = 1e12
LONGEST_VALUE = 64  # characters
NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+", re.ASCII)
DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
AGE = re.compile(r"\d{1,7}", re.ASCII)  # seconds; a cache that holds an answer for months holds none of ours
LEADING_INTEGER = re.compile(r"\d{1,9}(?![\d.])", re.ASCII)
AHEAD = ("", "x-")  # as the drafts name these headers, and as vendors did before


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return the vendor's own time: `Date`, and in an answer from a cache its `Age` since then (RFC 9111).

    Of several ages the first counts, as the RFC says.
    """
    date, age = _moment(str(headers.get("date") or "")), str(headers.get("age") or "").partition(",")[0].strip()
    if date is None or not AGE.fullmatch(age):
        return date
    try:
        return date + timedelta(seconds=int(age))
    except OverflowError:  # at the end of the calendar
        return date


def pause_of(headers: Mapping[str, str], now: datetime, ignored: "Counter[str] | None" = None) -> timedelta | None:
    """Return the pause that an answer asks for, at most `LONGEST_PAUSE`; None where it asks for none.

    `headers`: by name, without regard to case. Moments are compared with the answer's own `Date`, else with `now`.
    """
    now = date_of(headers) or now
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        pause = _pause(str(value).strip(), now, unit)
        if pause is not None:
            return pause
        _count(ignored, name)
    return None


@dataclass(frozen=True)
class Quota:
    """What the headers RateLimit-Limit, -Remaining and -Reset tell; None for what they do not."""

    limit: int | None = None
    remaining: int | None = None
    reset: timedelta | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], now: datetime, ignored: "Counter[str] | None" = None) -> "Quota":
        """Read them; `ignored` counts, by header, values that are none."""
        now = date_of(headers) or now
        limit, remaining, reset = (
            next(
                (
                    (f"{ahead}ratelimit-{name}", value)
                    for ahead in AHEAD
                    if (value := headers.get(f"{ahead}ratelimit-{name}"))
                ),
                None,
            )
            for name in ("limit", "remaining", "reset")
        )
        found = cls(
            limit=None if limit is None else _integer(limit[1]),
            remaining=None if remaining is None else _integer(remaining[1]),
            reset=None if reset is None else _pause(str(reset[1]).strip(), now, 1.0),
        )
        for given, read in ((limit, found.limit), (remaining, found.remaining), (reset, found.reset)):
            if given is not None and read is None:
                _count(ignored, given[0])
        return found


def _count(ignored: "Counter[str] | None", name: str) -> None:
    if ignored is not None:
        ignored[name] += 1


def _integer(value: object) -> int | None:
    found = LEADING_INTEGER.match(str(value).strip()[:LONGEST_VALUE])
    return None if found is None else int(found[0])


def _pause(value: str, now: datetime, unit: float) -> timedelta | None:
    """Read a pause of at least nothing and at most `LONGEST_PAUSE`."""
    if len(value) > LONGEST_VALUE:
        return None
    if NUMBER.fullmatch(value):
        seconds = float(value) * unit
        if seconds >= SECONDS_FROM:
            epoch = seconds / 1000 if seconds >= MILLISECONDS_FROM else seconds
            seconds = epoch - (now - EPOCH).total_seconds()
        elif seconds < 0:
            return None
    elif DURATION.fullmatch(value):
        seconds = sum(float(number) * UNITS[name] for number, name in DURATION_PART.findall(value))
    elif (moment := _moment(value)) is not None:
        seconds = (moment - now).total_seconds()
    else:
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_PAUSE.total_seconds()))


def _moment(value: str) -> datetime | None:
    return _parsed(value) if 0 < len(value) <= LONGEST_VALUE else None


@lru_cache(maxsize=16)  # the answers of a second carry the same
def _parsed(value: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
