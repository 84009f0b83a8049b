"""A vendor's limit on our side: never crossed, never lost, held by a 429 for everybody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ingest_assets.errors import Transient
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.login import Clock

SOON = 2.0  # seconds
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class TestALimit:
    def test_is_kept_by_arrivals_however_long_requests_were_on_their_way(self) -> None:
        limit, window, requests = 3, 0.2, 12
        arrivals: list[float] = []

        async def request(limiter: RateLimiter, number: int) -> None:
            async with limiter.slot():
                await asyncio.sleep(0.04 if number < limit else 0)  # the first ones are held up before they arrive
                arrivals.append(asyncio.get_running_loop().time())

        async def run() -> None:
            limiter = RateLimiter(limit, Clock(), window)
            await asyncio.gather(*(request(limiter, number) for number in range(requests)))

        asyncio.run(run())
        arrivals.sort()
        crowded = [
            later - earlier
            for earlier, later in zip(arrivals, arrivals[limit:], strict=False)
            if later - earlier < window
        ]
        assert len(arrivals) == requests
        assert not crowded

    def test_frees_a_place_whose_request_failed(self) -> None:
        async def run() -> int:
            limiter = RateLimiter(1, Clock(), 0.01)
            for _ in range(3):
                with pytest.raises(LookupError):
                    async with limiter.slot():
                        raise LookupError
            return 3

        assert asyncio.run(asyncio.wait_for(run(), SOON)) == 3

    def test_counts_what_a_request_costs(self) -> None:
        clock = FakeClock()

        async def run() -> list[float]:
            limiter = RateLimiter(100, clock.clock, 60)
            begun = []
            for cost in (40, 40, 40, 100, 250):
                async with limiter.slot(cost):
                    begun.append((clock.now() - NOON).total_seconds())
            return begun

        assert asyncio.run(run()) == [0, 0, 60, 120, 180]

    def test_tells_how_many_requests_fit(self) -> None:
        limiter = RateLimiter(6000, Clock())
        assert [limiter.affordable(cost) for cost in (40, 6000, 9000)] == [150, 1, 1]


class TestAHold:
    def test_keeps_back_every_request_that_the_vendor_counts_together(self) -> None:
        clock = FakeClock()

        async def run() -> list[float]:
            limiter = RateLimiter(None, clock.clock)
            limiter.hold(timedelta(seconds=20))
            begun = []
            for _ in range(3):
                async with limiter.slot():
                    begun.append((clock.now() - NOON).total_seconds())
            return begun

        assert asyncio.run(run()) == [20, 20, 20]

    def test_is_not_shortened_by_a_later_answer(self) -> None:
        clock = FakeClock()

        async def run() -> float:
            limiter = RateLimiter(None, clock.clock)
            limiter.hold(timedelta(seconds=20))
            limiter.hold(timedelta(seconds=1))
            limiter.hold(None)
            async with limiter.slot():
                return (clock.now() - NOON).total_seconds()

        assert asyncio.run(run()) == 20

    def test_that_is_long_keeps_no_worker(self) -> None:
        clock = FakeClock()

        async def run() -> None:
            limiter = RateLimiter(None, clock.clock, vendor="Fathom")
            limiter.hold(timedelta(minutes=50))
            async with limiter.slot():
                pass

        with pytest.raises(Transient, match="Fathom asks us to slow down") as caught:
            asyncio.run(run())
        assert caught.value.retry_after == timedelta(minutes=50)
        assert clock.now() == NOON


class FakeClock:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self._now = NOON
        self.clock = Clock(now=self.now, sleep=self.sleep)

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)
