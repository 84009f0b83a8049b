"""A vendor's limit, kept on our side: so many units in any stretch of time, and none while a 429 holds it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf

from ingest_assets.errors import Transient
from ingest_assets.sources.client.retry import PATIENCE
from ingest_assets.sources.login import Clock

MINUTE = 61.0  # the vendor's 60 s plus 1 s of network delay


class RateLimiter:
    """At most `limit` units in any stretch of so many seconds: a burst first, then the vendor's rate.

    A request keeps its place until so long after its answer. It reached the vendor somewhere between start and
    answer, so no delay on the way, and none of ours before the sending, can crowd the vendor's own window.
    Without a limit only `hold` keeps requests back.
    """

    def __init__(
        self, limit: float | None, clock: Clock, seconds: float = MINUTE, *, vendor: str = "The vendor"
    ) -> None:
        self.limit = inf if limit is None else limit
        self._seconds = seconds
        self._clock = clock
        self._vendor = vendor
        self._held_until = 0.0
        self._answered: deque[tuple[float, int]] = deque()
        self._spent = 0  # units of what was answered
        self._under_way = 0  # units of what was not
        self._turn = asyncio.Lock()
        self._answer = asyncio.Event()

    @asynccontextmanager
    async def slot(self, cost: int = 1) -> AsyncGenerator[None]:
        """Begin when a request of so many units may start; the block is the request.

        Raises Transient where the vendor holds the limit for longer than one request may wait.
        """
        async with self._turn:
            while not self._free(cost):
                await self._wait()
            self._under_way += cost
        try:
            yield
        finally:
            self._under_way -= cost
            if self.limit != inf:
                self._answered.append((self._now(), cost))
                self._spent += cost
            self._answer.set()

    def hold(self, pause: timedelta | None) -> None:
        """Start nothing for a while: the vendor says that the limit is used up."""
        if pause is not None:
            self._held_until = max(self._held_until, self._now() + pause.total_seconds())

    def affordable(self, cost: int) -> int:
        """Return how many requests of a cost fit into one stretch, at least one."""
        return max(1, int(min(self.limit, 1_000_000) // cost))

    def _free(self, cost: int) -> bool:
        now = self._now()
        while self._answered and self._answered[0][0] <= now - self._seconds:
            self._spent -= self._answered.popleft()[1]
        taken = self._spent + self._under_way
        return now >= self._held_until and (not taken or taken + cost <= self.limit)

    async def _wait(self) -> None:
        """Wait for the next moment at which something changes."""
        now = self._now()
        if now < self._held_until:
            left = timedelta(seconds=self._held_until - now)
            if left > PATIENCE:
                raise Transient(f"{self._vendor} asks us to slow down (429).", retry_after=left)
            await self._clock.sleep(left.total_seconds())
        elif self._answered:
            await self._clock.sleep(self._answered[0][0] + self._seconds - now)
        else:
            self._answer.clear()
            await self._answer.wait()

    def _now(self) -> float:
        return self._clock.now().timestamp()
