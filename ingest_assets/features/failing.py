"""Conversations about which the model did not answer: their fault where it answers others, else its own."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from ingest_assets.features.client import STOP_PAUSE, Unanswered
from ingest_assets.features.report import FAILED, MODEL_DOWN, MODEL_REFUSED, PARTIAL
from ingest_assets.features.stop import FIRST_WAIT, Stop
from ingest_assets.sources.login import Clock
from ingest_assets.storage.schema import Columns

Save = Callable[[Columns], Awaitable[None]]
IN_A_ROW = 5  # conversations that fail one after the other: then it is the endpoint, whatever is the matter
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(days=1)  # of a conversation that fails
LONGEST_WAIT = timedelta(hours=1)  # of a workspace where all that was asked fails


class Failing:
    """The failures of one run. A conversation that fails goes behind the others, with growing pauses."""

    def __init__(self, save: Save, clock: Clock) -> None:
        self._save, self._clock = save, clock
        self._waiting: list[tuple[Columns, Unanswered]] = []
        """Failed while nothing was answered: it may be the endpoint."""
        self._answered = False
        self.in_a_row = 0

    async def add(self, values: Columns, error: Unanswered) -> Stop | None:
        """Put a conversation behind the others; return why to stop where several in a row fail."""
        self._waiting.append((values | {"reason": str(error)}, error))
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            return self._endpoint()
        if self._answered:
            await self._postpone()
        return None

    async def answered(self, *, whole: bool = True) -> None:
        """Note that the endpoint works: what failed before was the conversations' own fault."""
        self.in_a_row = 0
        if whole:
            self._answered = True
            await self._postpone()

    async def conclude(self) -> Stop | None:
        """Store what is left, without a pause; return why the endpoint is to be waited for."""
        stop = self._endpoint() if self._waiting else None
        for values, _error in self._waiting:
            await self._save(values)
        return stop

    def _endpoint(self) -> Stop:
        _values, error = self._waiting[-1]
        now = self._clock.now()
        failures = min(values["failures"] for values, _error in self._waiting)
        wait = _growing(FIRST_WAIT, LONGEST_WAIT, failures)
        if error.refused:
            return Stop(FAILED, str(error), now + max(wait, STOP_PAUSE), MODEL_REFUSED)
        until: datetime = now + wait
        return Stop(PARTIAL, f"{error} A run after {until:%H:%M} UTC goes on.", until, MODEL_DOWN)

    async def _postpone(self) -> None:
        waiting, self._waiting = self._waiting, []
        for values, _error in waiting:
            pause = _growing(FIRST_PAUSE, LONGEST_PAUSE, values["failures"])
            await self._save(values | {"retry_at": self._clock.now() + pause})


def _growing(first: timedelta, longest: timedelta, failures: int) -> timedelta:
    """Double a pause with each failure in a row."""
    return longest if failures > 16 else min(longest, first * 2 ** (failures - 1))
