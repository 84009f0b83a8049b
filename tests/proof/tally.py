"""What episodes of the soup came to."""

from __future__ import annotations

from dataclasses import dataclass


class Untrue(AssertionError):
    """A claim that does not hold, or an error that nobody expected."""


@dataclass
class Tally:
    """What episodes came to."""

    episodes: int = 0
    steps: int = 0
    syncs: int = 0
    successes: int = 0
    faults: int = 0
    kills: int = 0
    rows: int = 0
    """Compared at the ends."""

    def __iadd__(self, other: Tally) -> Tally:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self
