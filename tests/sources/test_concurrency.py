"""Several streams at once: everything arrives, and an error comes last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from ingest_assets.sources.concurrency import interleave

AT_ONCE = 2
SOON = 2.0  # seconds


async def numbers(count: int, *, error: Exception | None = None) -> AsyncGenerator[int]:
    for number in range(count):
        yield number
    if error is not None:
        raise error


class TestStreams:
    def test_arrive_completely(self) -> None:
        async def read() -> list[int]:
            return [item async for item in interleave([numbers(50) for _ in range(5)], at_once=AT_ONCE)]

        assert sorted(asyncio.run(read())) == sorted(list(range(50)) * 5)

    def test_may_be_none_at_all(self) -> None:
        async def read() -> list[int]:
            return [item async for item in interleave(list[AsyncGenerator[int]](), at_once=AT_ONCE)]

        assert asyncio.run(read()) == []

    def test_deliver_what_came_before_an_error_and_then_the_error(self) -> None:
        found: list[int] = []

        async def read() -> None:
            async for item in interleave([numbers(3, error=LookupError("gone"))], at_once=AT_ONCE):
                found.append(item)  # noqa: PERF401  (what was read before the error counts)

        with pytest.raises(LookupError, match="gone"):
            asyncio.run(read())
        assert found == [0, 1, 2]

    @pytest.mark.parametrize("count", [1, 2, 3, 50])
    def test_may_be_left_before_their_end(self, count: int) -> None:
        async def read_one() -> int:
            stream = interleave([numbers(count) for _ in range(4)], at_once=AT_ONCE)
            first = await anext(stream)
            for _ in range(20):  # the streams go on until nobody takes their items
                await asyncio.sleep(0)
            await asyncio.wait_for(stream.aclose(), SOON)
            return first

        assert asyncio.run(read_one()) == 0

    def test_may_be_left_while_one_fails_and_another_takes_its_time_to_stop(self) -> None:
        async def slow_to_stop() -> AsyncGenerator[int]:
            try:
                for number in range(50):
                    yield number
            finally:
                await asyncio.sleep(0.05)

        async def fails() -> AsyncGenerator[int]:
            await asyncio.sleep(0)
            raise LookupError("gone")
            yield 0

        async def read_one() -> int:
            stream = interleave([slow_to_stop(), fails()], at_once=AT_ONCE)
            first = await anext(stream)
            for _ in range(5):  # one has failed, and the other is not done yet
                await asyncio.sleep(0)
            await asyncio.wait_for(stream.aclose(), SOON)
            return first

        assert asyncio.run(read_one()) == 0
