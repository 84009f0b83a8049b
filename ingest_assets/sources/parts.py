"""Parts of an account (a channel, a thread, a call ...) that cannot be read, while the rest goes on.

What a part's request answers concerns the part, whatever it is. Only what the login's own request answers concerns
the account: it is made, once a sync, when a part's answer speaks of the login or when several parts in a row fail.
A part that failed is asked again by the next sync, then after pauses that grow, until it was read to its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingest_assets.errors import CredentialRejected, SourceError, Transient
from ingest_assets.sources.client.retry import PATIENCE, TRIES
from ingest_assets.sources.times import BEGINNING

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
"""Before the third try of a part, doubled with each further one; the longest one is a request or two a day."""
MANY = 3  # parts that fail in a row: then it may be the login, or the vendor
LONGEST_NAME = (
    200  # characters of a part's key and name; PostgreSQL's indexes and an operator's screen have limits
)


@dataclass(frozen=True, kw_only=True)
class UnreadablePart:
    """A part that could not be read, as it is stored."""

    part: str
    """Unique in the account: the vendor's ids."""
    name: str
    """What an operator calls it: "#deal-room"."""
    code: str
    action: str | None
    """What happened and what to do, as a sentence."""
    since: datetime
    attempts: int
    """How often it failed in a row."""
    due_at: datetime | None = None
    """None: the next sync asks again."""
    left_at: datetime | None = None
    """When it was seen that the part, which was read before, is no longer listed."""
    acknowledged_at: datetime | None = None
    """When an operator said that this is known."""

    def __str__(self) -> str:
        if self.left_at is not None:
            return f"no longer in {self.name} since {self.left_at:%Y-%m-%d %H:%M} UTC"
        again = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.attempts > 1 else ""
        return f"{self.name} ({self.code}{again})"


class Parts:
    """What of one account could not be read: by earlier syncs, and by this one."""

    def __init__(
        self, known: Iterable[UnreadablePart] = (), *, now: datetime = BEGINNING, ask_all: bool = True
    ) -> None:
        """`ask_all`: whether pauses do not count, since a person asks."""
        self.login: Callable[[], Awaitable[object]] | None = None
        """The login's own request, set by the source; raises what it answers."""
        self._known = {part.part: part for part in known}
        self._now = now
        self._ask_all = ask_all
        self._in_a_row = 0
        self._login_asked = False
        self._turn = asyncio.Lock()

    def due(self, part: str) -> bool:
        """Tell whether a part may be asked now."""
        known = self._known.get(part)
        if known is None or known.due_at is None or self._ask_all:
            return True
        return known.due_at <= self._now

    def known(self, part: str) -> bool:
        """Tell whether a part could not be read the last time."""
        return part in self._known

    def since(self, part: str) -> datetime | None:
        """Tell since when a part could not be read, if it could not be the last time."""
        known = self._known.get(part)
        return None if known is None else known.since

    def waiting(self, prefix: str = "") -> list[str]:
        """Return the parts that are to be asked again now, longest unreadable first; not those that were left."""
        again = [part for part in self._known.values() if part.left_at is None and part.part.startswith(prefix)]
        return [part.part for part in sorted(again, key=lambda part: part.since) if self.due(part.part)]

    def tries(self, part: str) -> int:
        """Return how often a request for a part may be tried: once, where it failed before or many fail."""
        return 1 if part in self._known or self._in_a_row >= MANY else TRIES

    async def failed(self, part: str, name: str, error: SourceError) -> UnreadablePart:
        """Return what to put on a page for a part that could not be read.

        Raises what the login's own request answers, where the fault turns out to be the account's.
        """
        self._in_a_row += 1
        long_wait = isinstance(error, Transient) and (error.retry_after or timedelta(0)) > PATIENCE
        if isinstance(error, CredentialRejected) or long_wait or self._in_a_row >= MANY:
            await self._ask_login()
        return self._noted(part, name, code=error.code, action=str(error))

    def unhelpful(self, part: str, name: str, error: SourceError, action: str) -> UnreadablePart:
        """Return the same for a part that is read by another login, which says nothing of the account's."""
        return self._noted(part, name, code=error.code, action=action)

    def left(self, part: str, name: str, action: str, at: datetime) -> UnreadablePart:
        """Return what to put on a page for a part that was read before and is no longer listed."""
        known = self._known.get(part)
        if known is not None and known.left_at is not None:
            return known
        noted = self._noted(part, name, code="left", action=action)
        return replace(noted, since=at, attempts=0, due_at=None, left_at=at)

    def succeeded(self, part: str) -> list[str]:
        """Take note that a part was read to its end; return it, if it was unreadable, for the page's `read`."""
        self._in_a_row = 0
        return [part] if self._known.pop(part, None) else []

    async def _ask_login(self) -> None:
        async with self._turn:
            if self.login is not None and not self._login_asked:
                await self.login()
                self._login_asked = True

    def _noted(self, part: str, name: str, *, code: str, action: str) -> UnreadablePart:
        before = self._known.get(part)
        attempts = 1 if before is None else before.attempts + 1
        return UnreadablePart(
            part=part,
            name=name[:LONGEST_NAME],
            code=code,
            action=action,
            since=self._now if before is None or before.left_at is not None else before.since,
            attempts=attempts,
            due_at=None
            if attempts == 1
            else self._now + min(FIRST_PAUSE * 2 ** min(attempts - 2, 10), LONGEST_PAUSE),
            acknowledged_at=None if before is None else before.acknowledged_at,
        )
