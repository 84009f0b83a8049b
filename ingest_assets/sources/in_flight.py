"""Requests whose answers are awaited: who stops lets them arrive, as each one has cost its share of a limit."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

LAST_ANSWERS = 1.25  # seconds that a stop waits for them; who presses Ctrl-C waits for two at most


class InFlight:
    """The requests of one login."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Count a request for as long as the block lasts. Once they are ended, it never begins."""
        if self._closed:
            await asyncio.Event().wait()  # until its task is cancelled
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    def ending(self, task: asyncio.Task[None]) -> Callable[[], object]:
        """Return what ends the requests, and a task once their answers are here; any thread may call it."""
        loop = asyncio.get_running_loop()
        return lambda: asyncio.run_coroutine_threadsafe(self._end(task), loop)

    async def _end(self, task: asyncio.Task[None]) -> None:
        if self._closed:  # two signals, or one that came as the first was heard: who ends is not cancelled again
            return
        self._closed = True
        if self._count:
            self._none.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), LAST_ANSWERS)
        task.cancel()
