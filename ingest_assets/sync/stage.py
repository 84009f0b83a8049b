"""How far a sync that is under way has come: for the command that runs it, and in its account's row for others."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_assets.sources.progress import Progress
from ingest_assets.terminal import duration

LEAST = timedelta(seconds=5)
"""What is left is told after so long; before, a pace is a guess."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A moment of a sync."""

    since: datetime
    unit: str
    done: float
    total: float
    rows: int
    """Items seen so far."""
    calls: int
    waits_until: datetime | None
    ends_at: datetime | None
    """At the pace so far."""

    @classmethod
    def of(cls, progress: Progress, *, since: datetime, rows: int, calls: int, now: datetime) -> "Stage":
        left = progress.remaining(now) if now - since >= LEAST else None
        return cls(
            since=since,
            unit=progress.unit,
            done=progress.done,
            total=progress.total,
            rows=rows,
            calls=calls,
            waits_until=progress.waits_until,
            ends_at=None if left is None else now + left,
        )

    @classmethod
    def begun(cls, now: datetime) -> "Stage":
        return cls.of(Progress(), since=now, rows=0, calls=0, now=now)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Stage":
        times = {name: stored[name] and datetime.fromisoformat(stored[name]) for name in TIMES}
        return cls(**{**stored, **times})

    def as_json(self) -> dict[str, Any]:
        times = {name: _iso(getattr(self, name)) for name in TIMES}
        return {**self.__dict__, **times}

    def words(self, now: datetime) -> str:
        """Return the stage as a sentence's end: "3 of 10 channels, 1,200 items, 45 requests, about 4 min left"."""
        parts = [f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"] if self.total >= 1 else []
        parts += [f"{self.rows:,} items", f"{self.calls:,} requests"]
        if self.waits_until is not None and self.waits_until > now:
            parts.append(f"waits until {self.waits_until.astimezone(UTC):%H:%M:%S} UTC for its limit")
        if self.ends_at is not None and self.ends_at > now:
            parts.append(f"about {duration(self.ends_at - now)} left")
        return ", ".join(parts)


TIMES = ("since", "waits_until", "ends_at")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
