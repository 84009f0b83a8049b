"""Requests that name many ids, of which one may spoil the answer for all: halved down to the one."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from ingest_assets.errors import SourceError, Transient
from ingest_assets.sources.client.retry import PATIENCE

MOST_FAILURES = 60  # of one sync: finding one id among a hundred takes 7, three ids at most 18

Answer = TypeVar("Answer")


class Halving:
    """Finds the ids that a vendor refuses; keeps count of what that costs one sync."""

    def __init__(self) -> None:
        self._failures = 0

    async def ask(
        self, ids: Sequence[str], request: Callable[[Sequence[str], int], Awaitable[Answer]], tries: int
    ) -> tuple[list[Answer], dict[str, SourceError]]:
        """Return the answers, and for each id that was refused what it was refused with.

        `request`: asks for some ids in so many tries. Raises Transient where the vendor wants a long pause.
        Where too many requests have failed, groups are no longer halved: all of a group's ids are refused.
        """
        answers: list[Answer] = []
        refused: dict[str, SourceError] = {}
        waiting = [list(ids)]
        while waiting:
            group = waiting.pop()
            try:
                answers.append(await request(group, tries))
            except SourceError as error:
                if isinstance(error, Transient) and (error.retry_after or timedelta(0)) > PATIENCE:
                    raise
                self._failures += 1
                middle = len(group) // 2
                if middle and self._failures < MOST_FAILURES:
                    waiting += [group[middle:], group[:middle]]
                else:
                    refused |= dict.fromkeys(group, error)
            tries = 1
        return answers, refused
