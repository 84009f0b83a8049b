"""Pages by number: what moves while they are read is found, at the price of a second look at each border."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ingest_assets.errors import UnexpectedResponse
from ingest_assets.sources.client.paging import numbered_pages

SIZE = 3


class Listing:
    """Items in pages by number; `happens` changes the items before the n-th page is answered."""

    def __init__(self, count: int, happens: dict[int, Callable[[list[int]], None]] | None = None) -> None:
        self.items = list(range(count))
        self.happens = happens or {}
        self.asked = self.looked = 0

    def _page(self, cursor: str | None) -> dict[str, Any]:
        number = int(cursor or 1)
        more = number * SIZE < len(self.items)
        following = str(number + 1) if more else None
        return {"items": self.items[(number - 1) * SIZE : number * SIZE], "next": following}

    async def ask(self, cursor: str | None) -> dict[str, Any]:
        self.asked += 1
        if change := self.happens.pop(self.asked, None):
            change(self.items)
        return self._page(cursor)

    async def look(self, cursor: str | None) -> dict[str, Any]:
        self.looked += 1
        return self._page(cursor)

    def read(self) -> list[int]:
        async def walk() -> list[int]:
            answers = numbered_pages(self.ask, self.look, self.ids, ("next",), "The list")
            return [item async for answer in answers for item in answer["items"]]

        return asyncio.run(walk())

    @staticmethod
    def ids(answer: dict[str, Any]) -> set[str]:
        return {str(item) for item in answer["items"]}


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (3, 1), (4, 2), (9, 3), (30, 10)])
def test_a_quiet_list_costs_one_look_for_each_border(count: int, pages: int) -> None:
    listing = Listing(count)
    assert listing.read() == list(range(count))
    assert (listing.asked, listing.looked) == (pages, pages - 1)


@pytest.mark.parametrize("before", [2, 3, 4, 7, 10])
@pytest.mark.parametrize("deleted", [(0,), (0, 1), (0, 1, 2, 3)])
def test_what_moves_to_a_page_that_was_read_is_read(before: int, deleted: tuple[int, ...]) -> None:
    def delete(items: list[int]) -> None:
        items[:] = [item for item in items if item not in deleted]

    listing = Listing(30, {before: delete})
    assert set(listing.read()) >= set(listing.items)
    assert listing.asked + listing.looked <= 30


def test_what_is_deleted_again_and_again_is_followed() -> None:
    def delete(items: list[int]) -> None:
        del items[0]

    listing = Listing(30, dict.fromkeys(range(2, 20), delete))
    assert set(listing.read()) >= set(listing.items)


def test_what_only_the_second_look_shows_keeps_nobody_waiting() -> None:
    class Odd(Listing):
        async def look(self, cursor: str | None) -> dict[str, Any]:
            answer = await super().look(cursor)
            return answer | {"items": [*answer["items"], 1000]}

    listing = Odd(9)
    assert set(listing.read()) == set(range(9))
    assert listing.asked + listing.looked <= 9


def test_the_second_look_is_made_while_the_walk_goes_on() -> None:
    class Meeting(Listing):
        def __init__(self) -> None:
            super().__init__(9)
            self.went_on = asyncio.Event()

        async def ask(self, cursor: str | None) -> dict[str, Any]:
            if cursor == "3":
                self.went_on.set()
            return await super().ask(cursor)

        async def look(self, cursor: str | None) -> dict[str, Any]:
            await asyncio.wait_for(self.went_on.wait(), timeout=10)
            return await super().look(cursor)

    assert Meeting().read() == list(range(9))


def test_a_walk_that_fails_leaves_no_look_behind() -> None:
    class Failing(Listing):
        async def ask(self, cursor: str | None) -> dict[str, Any]:
            if cursor == "3":
                await asyncio.sleep(0)
                raise UnexpectedResponse("no")
            return await super().ask(cursor)

        async def look(self, cursor: str | None) -> dict[str, Any]:
            await asyncio.Event().wait()
            return await super().look(cursor)

    async def left() -> set[asyncio.Task[Any]]:
        listing = Failing(9)
        with pytest.raises(UnexpectedResponse, match="no"):
            async for _ in numbered_pages(listing.ask, listing.look, listing.ids, ("next",), "The list"):
                pass
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(left()) == set()


def test_a_cursor_that_repeats_ends_the_walk() -> None:
    class Repeating(Listing):
        async def ask(self, cursor: str | None) -> dict[str, Any]:
            return await super().ask(cursor) | {"next": "2"}

    with pytest.raises(UnexpectedResponse, match="repeats a page cursor"):
        Repeating(9).read()
