"""How far the reading of an account has come, as far as its source can tell."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ingest_assets.sources.login import Clock

TOLD = 2.0  # seconds: shorter waits are no news


@dataclass
class Progress:
    """Parts of an account that are done, of those that this sync is to read."""

    unit: str = ""
    """What is counted, in the plural: channels, threads, days."""
    done: float = 0
    total: float = 0
    """0: not known yet."""
    since: datetime | None = None
    """When the total became known."""
    _waits: list[datetime] = field(default_factory=list)

    def expect(self, total: float, unit: str, now: datetime) -> None:
        """Note how much there is to read from now on."""
        self.unit, self.done, self.total, self.since = unit, 0, total, now

    def advance(self, parts: float = 1) -> None:
        """Note that so much more was read."""
        self.done = min(self.total, self.done + parts)

    def leave(self, parts: float) -> None:
        """Note that so much is left."""
        self.done = max(0.0, self.total - parts)

    @property
    def waits_until(self) -> datetime | None:
        """Until when a request waits at least, for the vendor's limit or between two tries."""
        return min(self._waits, default=None)

    def remaining(self, now: datetime) -> timedelta | None:
        """Return how long the rest takes at the pace so far; None where that cannot be told."""
        if self.since is None or not self.done or not self.total:
            return None
        return (now - self.since) * ((self.total - self.done) / self.done)

    def noting(self, clock: Clock) -> Clock:
        """Return a clock whose longer waits are noted here."""

        async def sleep(seconds: float) -> None:
            if seconds < TOLD:
                await clock.sleep(seconds)
                return
            until = clock.now() + timedelta(seconds=seconds)
            self._waits.append(until)
            try:
                await clock.sleep(seconds)
            finally:
                self._waits.remove(until)

        sleeping: Callable[[float], Awaitable[None]] = sleep
        return replace(clock, sleep=sleeping)
