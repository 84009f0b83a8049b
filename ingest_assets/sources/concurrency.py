"""Several streams at once, and one that is prepared ahead of its reader."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

Item = TypeVar("Item")


async def interleave(streams: Sequence[AsyncGenerator[Item]], *, at_once: int) -> AsyncGenerator[Item]:
    """Run a few streams at the same time and yield their items as they come.

    When one fails, what the streams had yielded before is still delivered; then its error is raised.
    """
    queue: asyncio.Queue[Item | None] = asyncio.Queue(maxsize=at_once)
    waiting = iter(streams)

    async def pump() -> None:
        for stream in waiting:  # shared: whoever is free takes the next
            async with aclosing(stream):
                async for item in stream:
                    await queue.put(item)

    async def pump_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(at_once, len(streams))):
                    group.create_task(pump())
        finally:  # whatever it is, the reader gets what came before it, and then this
            if (
                reading
            ):  # one that has left takes nothing from a full queue; and a group may swallow its cancellation
                await queue.put(None)

    reading = True
    pumping = asyncio.create_task(pump_all())
    try:
        while (item := await queue.get()) is not None:
            yield item
        await pumping
    except BaseExceptionGroup as group:  # of one stream that failed and others that were stopped for it
        raise _first(group) from group
    finally:
        reading = False
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)


def ahead(stream: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """Let a stream prepare its next item while the reader is busy with the last."""
    return interleave([stream], at_once=1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
