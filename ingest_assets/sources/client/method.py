"""What a client knows of a vendor's method before it calls it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Whom a failure of a request concerns."""

    ACCOUNT = "account"
    """The login's own requests and the account's listing."""
    PART = "part"
    """What one channel, thread, call, recording or profile is asked; the rest of the account goes on."""
    HINT = "hint"
    """What only tells where to look first: nothing stays unread without it."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of a client's table of methods."""

    level: Level
    per_minute: int | None = None
    """How many requests the vendor allows, where it counts by method."""
    cost: int = 1
    """Units of the account's limit, where the vendor prices its methods."""
