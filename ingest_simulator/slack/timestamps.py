"""Slack's message timestamps: "seconds.micros" on the wire, whole microseconds in here."""

import re

MICROS = 1_000_000
_PATTERN = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,6}))?")


def parse_ts(text: str) -> int | None:
    """Return the microseconds of a timestamp, or None if the text is not one."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    seconds, fraction = match.groups()
    return int(seconds) * MICROS + int((fraction or "").ljust(6, "0"))


def format_ts(key: int) -> str:
    """Return the timestamp of some microseconds."""
    return f"{key // MICROS}.{key % MICROS:06d}"


def key_at(seconds: float) -> int:
    """Return the microseconds of a moment given in seconds since the epoch."""
    return round(seconds * MICROS)
