"""Waiting for a vendor: retries of one request, pacing before a limit is hit, several streams at once."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TypeVar

from ingest_assets.errors import Transient
from ingest_assets.sources.login import Clock

TRIES = 5
PATIENCE = timedelta(minutes=2)  # for all pauses of one request together; beyond, the account's backoff waits
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=250), timedelta(seconds=20)  # where the vendor names none
MINUTE = 61.0  # a second more than the vendor's, for the way there

Item = TypeVar("Item")
Result = TypeVar("Result")


async def patiently(call: Callable[[], Awaitable[Result]], clock: Clock) -> Result:
    """Repeat a request while it raises Transient: 5 tries, 2 minutes of pauses together.

    A `retry_after` within that is obeyed; a longer one is raised at once: nobody holds a worker for it.
    """
    waited = timedelta(0)
    for tries in count(1):
        try:
            return await call()
        except Transient as error:
            pause = _growing(tries) if error.retry_after is None else error.retry_after
            if tries == TRIES or waited + pause > PATIENCE:
                raise
        await clock.sleep(pause.total_seconds())
        waited += pause
    raise AssertionError("count() does not end")


def _growing(tries: int) -> timedelta:
    pause: timedelta = min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1)  # noqa: S311  (jitter)


class Pace:
    """At most `limit` requests in any stretch of so many seconds: a burst first, then the vendor's rate.

    A request keeps its place until so long after its answer. It reached the vendor somewhere between start and
    answer, so no delay on the way, and none of ours before the sending, can crowd the vendor's own window.
    """

    def __init__(self, limit: int, clock: Clock, seconds: float = MINUTE) -> None:
        self.limit = limit
        self._seconds = seconds
        self._clock = clock
        self._held_until = 0.0
        self._answered: deque[float] = deque()
        self._under_way = 0
        self._turn = asyncio.Lock()
        self._answer = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Begin when another request may start; the block is the request."""
        async with self._turn:
            while not self._free():
                await self._wait()
            self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._answered.append(self._now())
            self._answer.set()

    def hold(self, seconds: float) -> None:
        """Start nothing for a while: the vendor says that the limit is used up."""
        self._held_until = max(self._held_until, self._now() + seconds)

    def _free(self) -> bool:
        while self._answered and self._answered[0] <= self._now() - self._seconds:
            self._answered.popleft()
        return self._now() >= self._held_until and len(self._answered) + self._under_way < self.limit

    async def _wait(self) -> None:
        """Wait for the next moment at which something changes."""
        now = self._now()
        if now < self._held_until:
            await self._clock.sleep(self._held_until - now)
        elif self._answered:
            await self._clock.sleep(self._answered[0] + self._seconds - now)
        else:
            self._answer.clear()
            await self._answer.wait()

    def _now(self) -> float:
        return self._clock.now().timestamp()


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
        except asyncio.CancelledError:
            raise  # the reader has left: nobody would take the end from a full queue
        except BaseException:  # whatever it is, the reader gets what came before it, and then this
            await queue.put(None)
            raise
        await queue.put(None)

    pumping = asyncio.create_task(pump_all())
    try:
        while (item := await queue.get()) is not None:
            yield item
        await pumping
    except BaseExceptionGroup as group:  # of one stream that failed and others that were stopped for it
        raise _first(group) from group
    finally:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)


def ahead(stream: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """Let a stream prepare its next item while the reader is busy with the last."""
    return interleave([stream], at_once=1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
