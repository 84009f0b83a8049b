"""The simulator's clock: real UTC time plus an offset that tests may move."""

import time
from datetime import UTC, datetime


class Clock:
    """Tells the simulated time; it runs at real speed unless frozen."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen_at: float | None = None

    def now(self) -> float:
        """Seconds since the epoch, in simulated time."""
        return time.time() + self._offset if self._frozen_at is None else self._frozen_at

    def set(self, moment: datetime, *, frozen: bool = False) -> None:
        """Jump to a moment, and stop there if frozen."""
        self._offset = moment.timestamp() - time.time()
        self._frozen_at = moment.timestamp() if frozen else None

    def advance(self, seconds: float) -> None:
        """Move by some seconds, forwards or backwards."""
        self._offset += seconds
        if self._frozen_at is not None:
            self._frozen_at += seconds

    def reset(self) -> None:
        """Return to real time."""
        self._offset = 0.0
        self._frozen_at = None

    def isoformat(self) -> str:
        """Return the simulated time as an ISO 8601 text in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat()
