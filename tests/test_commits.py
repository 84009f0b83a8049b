"""One page is committed while the next is read: in order, and what a commit meets ends the reading."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ingest_assets.errors import PartUnreadable, SourceError
from ingest_assets.sources.concurrency import few
from ingest_assets.sources.source import Page
from ingest_assets.sync.commits import committing
from ingest_assets.sync.page import RowsByTable


class Commits:
    """What is committed, and what was stored while a commit was under way."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.done: list[str] = []
        self.under_way = 0
        self.fails_at = fails_at

    async def commit(self, page: Page, _rows: RowsByTable) -> None:
        self.under_way += 1
        assert self.under_way == 1, "two at once"
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if self.fails_at == len(self.done):
            raise PartUnreadable("PostgreSQL went away, say.", code="any")
        self.done.append(page.stream)


def page(name: object) -> Page:
    return Page(stream=str(name))


def names(count: int) -> Sequence[str]:
    return [str(number) for number in range(count)]


def test_pages_are_committed_in_their_order_the_last_one_too() -> None:
    commits, ahead = Commits(), []

    async def read() -> None:
        async with committing(commits.commit) as store:
            for name in names(5):
                await store(page(name))
                ahead.append(int(name) - len(commits.done))

    asyncio.run(read())
    assert commits.done == names(5)
    assert ahead == [0] * 5  # a page is stored when the one before it is committed


def test_of_several_readers_at_once_all_pages_are_committed() -> None:
    commits = Commits()

    async def read() -> None:
        async with committing(commits.commit) as store:

            async def reader(first: int) -> None:
                for number in range(first, first + 10):
                    await store(page(number))

            await few([lambda first=first: reader(first) for first in (0, 10, 20)], at_once=3)  # type: ignore[misc]  # its type is not inferred

    asyncio.run(read())
    assert sorted(commits.done, key=int) == names(30)


@pytest.mark.parametrize("fails_at", [0, 2, 4])
def test_what_a_commit_meets_is_raised_as_it_is_though_a_source_catches_all_of_its_vendor(fails_at: int) -> None:
    commits, caught = Commits(fails_at=fails_at), []

    async def read() -> None:
        async with committing(commits.commit) as store:
            for name in names(5):
                try:
                    await store(page(name))
                except SourceError as error:  # as a source does for a part
                    caught.append(error)

    with pytest.raises(PartUnreadable, match="went away"):
        asyncio.run(read())
    assert commits.done == names(fails_at)
    assert caught == []


def test_an_error_of_the_source_comes_after_its_last_page_is_committed() -> None:
    commits = Commits()

    async def read() -> None:
        async with committing(commits.commit) as store:
            await store(page(0))
            raise LookupError("of the vendor")

    with pytest.raises(LookupError):
        asyncio.run(read())
    assert commits.done == ["0"]


def test_a_reading_that_is_cancelled_waits_for_the_commit_that_is_under_way() -> None:
    commits = Commits()

    async def read() -> None:
        async with committing(commits.commit) as store:
            await store(page(0))
            await asyncio.sleep(60)

    async def cancelled() -> None:
        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(cancelled())
    assert commits.done == ["0"]
    assert commits.under_way == 0


def test_a_page_that_waits_for_the_one_before_it_is_committed_whoever_is_cancelled_meanwhile() -> None:
    commits = Commits()

    async def read() -> None:
        async with committing(commits.commit) as store:

            async def reader(name: int) -> None:
                await store(page(name))
                await asyncio.sleep(60)

            await few([lambda name=name: reader(name) for name in range(4)], at_once=4)  # type: ignore[misc]  # its type is not inferred

    async def cancelled() -> None:
        reading = asyncio.create_task(read())
        while commits.under_way == 0:
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(cancelled())
    assert commits.done == names(4)


def test_what_a_commit_meets_is_told_also_where_the_reading_is_cancelled_meanwhile() -> None:
    commits = Commits(fails_at=0)

    async def read() -> None:
        async with committing(commits.commit) as store:
            await store(page(0))

    async def cancelled() -> None:
        reading = asyncio.create_task(read())
        while commits.under_way == 0:
            await asyncio.sleep(0)
        reading.cancel()
        await reading

    with pytest.raises(PartUnreadable, match="went away"):
        asyncio.run(cancelled())
