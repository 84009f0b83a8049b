"""What an id or an address that a person has names at a source, by each source's own table of patterns."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.record import Record


@dataclass(frozen=True, kw_only=True)
class Sought:
    """An item, as its id or address names it."""

    record: type[Record]
    value: str
    column: str = "external_id"
    """Which column holds the value; with `in_raw` a field of the item as the vendor sent it."""
    in_raw: bool = False
    part: str | None = None
    """The part of an account that the item belongs to, a Slack channel for one, where the id tells."""
    at: datetime | None = None
    """When it was said, where the id tells."""
    sure: bool = True
    """Whether the text can be nothing else: else it is looked for as words, too."""


@dataclass(frozen=True, kw_only=True)
class Covered:
    """What was read of the time that an item belongs to."""

    since: datetime
    until: datetime | None
    """None where it is read by what changes, and not by time."""
    unread: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the vendor says of one item."""

    shown: bool
    at: datetime | None = None
    left_out: str | None = None
    """Why the account does not store it though it may see it, in words that follow "it is"."""
    chosen: JsonView = field(default_factory=dict)
    """The settings with which it would."""


Make = Callable[[re.Match[str]], Iterable[Sought]]
Patterns = Sequence[tuple[str, Make]]
"""A whole text that names an item, and what it names; all are bounded, and anchored at both ends."""


def locating(patterns: Patterns) -> Callable[[str], list[Sought]]:
    """Return what finds out what a text names; nothing, where none of the patterns fits."""
    compiled = [(re.compile(pattern, re.ASCII), make) for pattern, make in patterns]

    def locate(text: str) -> list[Sought]:
        for pattern, make in compiled:
            if (match := pattern.fullmatch(text)) is not None:
                return list(make(match))
        return []

    return locate
