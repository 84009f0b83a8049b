"""Page cursors: followed to their end, and not for ever."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from ingest_assets.errors import UnexpectedResponse

LONGEST_WALK = 10_000  # pages: a hundred times what the largest account took
LONGEST_CURSOR = 10_000  # characters; those of vendors have up to 2,000

Json = dict[str, Any]


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
        cursor = _cursor(answer, path, what)
        if cursor is None:
            return
        if cursor in seen:
            raise UnexpectedResponse(f"{what} repeats a page cursor; reading on would never end.")
        seen.add(cursor)
    raise UnexpectedResponse(f"{what} gave {LONGEST_WALK} pages and no end.")


def listed(answer: Json, key: str, what: str) -> list[Any]:
    """Return the items of a page. Raises UnexpectedResponse where they are no list."""
    items = answer.get(key)
    if not isinstance(items, list):
        raise UnexpectedResponse(f"{what} has no list of {key}.")
    return items


def _cursor(answer: Json, path: Sequence[str], what: str) -> str | None:
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
