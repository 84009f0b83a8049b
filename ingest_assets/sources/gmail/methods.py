"""Gmail's quota: units a minute and mailbox, each method at its own price."""

from collections import deque

from ingest_assets.sources.login import Clock

COSTS = {
    "profile": 1,
    "labels.list": 1,
    "history.list": 2,
    "threads.list": 10,
    "threads.get": 40,
    "attachments.get": 20,
}
"""Since 2026-05-01; for older projects threads.get costs 10 and attachments.get 5."""
MINUTE = 61.0  # a second more than Gmail's, for the way there


class UnitBudget:
    """Spends at most so many units in any minute."""

    def __init__(self, units_per_minute: int, costs: dict[str, int], clock: Clock) -> None:
        self._limit, self._costs, self._clock = units_per_minute, costs, clock
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def affordable(self, method: str) -> int:
        """Tell how many requests of a kind one minute pays for."""
        return max(1, self._limit // self._costs[method])

    async def spend(self, method: str, times: int = 1) -> None:
        """Return when the units for some requests of a kind are there, and take them."""
        price = self._costs[method] * times
        while (pause := self._pause(price)) > 0:
            await self._clock.sleep(pause)
        self._spent.append((self._clock.now().timestamp(), price))
        self._total += price

    def _pause(self, price: int) -> float:
        now = self._clock.now().timestamp()
        while self._spent and self._spent[0][0] <= now - MINUTE:
            self._total -= self._spent.popleft()[1]
        missing = self._total + price - self._limit
        for moment, units in self._spent:
            if missing <= 0:
                break
            missing -= units
            if missing <= 0:
                return moment + MINUTE - now
        return 0.0
