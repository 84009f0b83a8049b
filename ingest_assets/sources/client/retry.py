"""The one retry loop."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import TypeVar

from ingest_assets.errors import Transient
from ingest_assets.sources.login import Clock

TRIES = 5
PATIENCE = timedelta(minutes=2)  # for all pauses of one request together; beyond, the account's backoff waits
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=250), timedelta(seconds=20)  # where the vendor names none

Result = TypeVar("Result")


async def retried(call: Callable[[], Awaitable[Result]], clock: Clock, *, tries: int = TRIES) -> Result:
    """Repeat a request while it raises Transient: at most `tries` times, with 2 minutes of pauses together.

    A `retry_after` within that is obeyed; a longer one is raised at once: nobody holds a worker for it.
    """
    waited = timedelta(0)
    for attempt in count(1):
        try:
            return await call()
        except Transient as error:
            pause = error.retry_after or growing(attempt)
            if attempt >= tries or waited + pause > PATIENCE:
                raise
        await clock.sleep(pause.total_seconds())
        waited += pause
    raise AssertionError("count() does not end")


def growing(attempt: int) -> timedelta:
    """Return the pause after the n-th failure, from 1, with jitter."""
    pause: timedelta = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1)  # noqa: S311  (jitter)
