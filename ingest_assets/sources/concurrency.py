"""A few things at once, and a stream that is prepared ahead of its reader."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

Item = TypeVar("Item")


async def few(tasks: Sequence[Callable[[], Awaitable[None]]], *, at_once: int) -> None:
    """Run tasks in their order, a few at the same time.

    When one fails, those that are under way are cancelled, none is begun, and its error is raised.
    """
    waiting = iter(tasks)

    async def work() -> None:
        for task in waiting:  # shared: whoever is free takes the next
            await task()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(tasks))):
                group.create_task(work())
    except BaseExceptionGroup as group:  # the first says why; the others were cancelled or failed beside it
        raise _first(group) from group


async def ahead(stream: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """Let a stream prepare its next item while the reader is busy with the last."""
    async with aclosing(stream):
        coming = asyncio.ensure_future(anext(stream, None))
        try:
            while (item := await coming) is not None:
                coming = asyncio.ensure_future(anext(stream, None))
                yield item
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
