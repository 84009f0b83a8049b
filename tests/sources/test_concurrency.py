"""Several things at once: all is done, an error ends the others, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from ingest_assets.sources.concurrency import ahead, few

AT_ONCE = 2
SOON = 2.0  # seconds


class Works:
    """Tasks that note what they do."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.at_once = self.most = 0

    async def task(self, number: int) -> None:
        self.begun.append(number)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0)
            if number < 0:
                raise LookupError("gone")
            self.ended.append(number)
        finally:
            self.at_once -= 1


class TestFew:
    def test_all_are_done_in_their_order_and_never_more_at_once(self) -> None:
        works = Works()
        asyncio.run(few([partial(works.task, number) for number in range(50)], at_once=AT_ONCE))
        assert works.begun == list(range(50))
        assert sorted(works.ended) == list(range(50))
        assert works.most == AT_ONCE

    def test_may_be_none_at_all(self) -> None:
        asyncio.run(few([], at_once=AT_ONCE))

    def test_an_error_comes_as_it_is_and_nothing_is_begun_after_it(self) -> None:
        works = Works()
        with pytest.raises(LookupError, match="gone"):
            asyncio.run(few([partial(works.task, number) for number in (1, -1, *range(2, 50))], at_once=AT_ONCE))
        assert len(works.begun) <= 2 * AT_ONCE
        assert works.at_once == 0

    def test_an_error_of_one_waits_for_another_that_takes_its_time_to_stop(self) -> None:
        stopped: list[bool] = []

        async def slow_to_stop() -> None:
            try:
                await asyncio.sleep(SOON)
            finally:
                await asyncio.sleep(0.05)
                stopped.append(True)

        with pytest.raises(LookupError):
            asyncio.run(few([slow_to_stop, partial(Works().task, -1)], at_once=AT_ONCE))
        assert stopped == [True]


async def numbers(made: list[int], count: int, *, error: Exception | None = None) -> AsyncGenerator[int]:
    try:
        for number in range(count):
            made.append(number)
            yield number
            await asyncio.sleep(0)
        if error is not None:
            raise error
    finally:
        made.append(-1)


class TestAhead:
    def test_the_next_is_made_while_the_last_is_worked_on(self) -> None:
        made: list[int] = []

        async def read() -> list[tuple[int, int]]:
            seen = []
            async for number in ahead(numbers(made, 4)):
                for _ in range(5):
                    await asyncio.sleep(0)
                seen.append((number, max(made)))
            return seen

        assert asyncio.run(read()) == [(0, 1), (1, 2), (2, 3), (3, 3)]

    def test_what_came_before_an_error_is_there_first(self) -> None:
        found: list[int] = []

        async def read() -> None:
            async for item in ahead(numbers([], 3, error=LookupError("gone"))):
                found.append(item)  # noqa: PERF401  (what was read before the error counts)

        with pytest.raises(LookupError, match="gone"):
            asyncio.run(read())
        assert found == [0, 1, 2]

    @pytest.mark.parametrize("count", [1, 2, 50])
    def test_who_leaves_early_leaves_nothing_behind(self, count: int) -> None:
        made: list[int] = []

        async def read_one() -> int:
            stream = ahead(numbers(made, count))
            first: int = await anext(stream)
            await asyncio.wait_for(stream.aclose(), SOON)
            return first

        assert asyncio.run(read_one()) == 0
        assert made[-1] == -1
