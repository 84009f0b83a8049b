"""Page cursors: followed to their end, and not for ever."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from ingest_assets.errors import UnexpectedResponse
from ingest_assets.sources.json_values import Json

LONGEST_WALK = 10_000  # pages: a hundred times what the largest account took
LONGEST_CURSOR = 10_000  # characters; those of vendors have up to 2,000


async def pages(
    ask: Callable[[str | None], Awaitable[Json]], path: Sequence[str], what: str
) -> AsyncGenerator[Json]:
    """Yield the answers of a list, page by page.

    `ask`: gets one page by its cursor, None for the first. `path`: the keys that lead to the next cursor.
    Raises UnexpectedResponse, after the page, where its cursor repeats, is no text, or never ends.
    """
    seen: set[str] = set()
    cursor: str | None = None
    for _page in range(LONGEST_WALK):
        answer = await ask(cursor)
        yield answer
        cursor = next_cursor(answer, path, what)
        if cursor is None:
            return
        if cursor in seen:
            raise _repeated(what)
        seen.add(cursor)
    raise _endless(what)


async def numbered_pages(
    ask: Callable[[str | None], Awaitable[Json]],
    look: Callable[[str | None], Awaitable[Json]],
    ids_of: Callable[[Json], set[str]],
    path: Sequence[str],
    what: str,
) -> AsyncGenerator[Json]:
    """Yield the answers of a list whose page cursor stands for a number.

    What is deleted while we read moves all that follows up, from a page to come to one that was read. So each page
    but the last is looked at again once the next was read, by `look`, which may bring less of each item: what it
    shows and no page has brought is fetched by reading on from there. That is one request more for each page but
    the last, along with the ones that go on. Fewer would not do: what is deleted from a page before the next is
    read changes no other page that we see.
    """
    cursors: list[str | None] = [None]
    seen: set[str] = set()
    looking: asyncio.Future[Json] | None = None

    def moved(answer: Json) -> bool:
        unseen = ids_of(answer) - seen
        seen.update(unseen)  # asked for once: a list that shows them in one form only must not keep us here
        return bool(unseen)

    try:
        for _request in range(LONGEST_WALK):
            if len(cursors) > 2:
                looking = asyncio.ensure_future(look(cursors[-3]))
            answer = await ask(cursors[-1])
            seen |= ids_of(answer)
            yield answer
            if looking is not None:
                before, looking = await looking, None
                if moved(before):
                    del cursors[-2:]
                    continue
            cursor = next_cursor(answer, path, what)
            if cursor is not None:
                if cursor in cursors:
                    raise _repeated(what)
                cursors.append(cursor)
            elif len(cursors) > 1 and moved(await look(cursors[-2])):
                cursors.pop()
            else:
                return
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    raise _endless(what)


def _repeated(what: str) -> UnexpectedResponse:
    return UnexpectedResponse(f"{what} repeats a page cursor; reading on would never end.")


def _endless(what: str) -> UnexpectedResponse:
    return UnexpectedResponse(f"{what} gave {LONGEST_WALK} pages and no end.")


def listed(answer: Json, key: str, what: str) -> list[Any]:
    """Return the items of a page. Raises UnexpectedResponse where they are no list."""
    items = answer.get(key)
    if not isinstance(items, list):
        raise UnexpectedResponse(f"{what} has no list of {key}.")
    return items


def next_cursor(answer: Json, path: Sequence[str], what: str) -> str | None:
    """Return the cursor of the next page, None on the last. Raises UnexpectedResponse where it is no text."""
    found: Any = answer
    for key in path:
        if not isinstance(found, dict):
            raise UnexpectedResponse(f"{what} has no page cursor at {'.'.join(path)}: there is no object there.")
        found = found.get(key)
        if found in (None, "", False):
            return None
    if isinstance(found, int):
        return str(found)
    if not isinstance(found, str) or len(found) > LONGEST_CURSOR:
        raise UnexpectedResponse(f"{what} has a page cursor that is no text of up to {LONGEST_CURSOR} characters.")
    return found
