"""The threads that a mailbox's search finds."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailSettings
from ingest_assets.sources.gmail.history import thread_id_of
from ingest_assets.sources.gmail.records import GmailThread
from ingest_assets.sources.rejected import UNPARSEABLE, Rejected, rejection


@dataclass
class Listing:
    """The threads of some labels."""

    threads: dict[str, str | None] = field(default_factory=dict)
    """By thread its historyId."""
    rejected: list[Rejected] = field(default_factory=list)

    async def read(self, client: GmailClient, query: str, chosen: GmailSettings) -> None:
        """List what a search finds in the chosen labels; a thread may have several.

        Raises CursorExpired where Gmail lost its place.
        """
        left_out = set()  # by listing them: a search term names a label by its name, which may hold anything
        for excluded in chosen.exclude_labels:
            left_out |= {thread["id"] async for thread in self._found(client, query, excluded)}
        searched: Sequence[str | None] = chosen.labels or [None]
        for label in searched:
            taken = 0
            async with aclosing(self._found(client, query, label)) as threads:
                async for thread in threads:
                    if thread["id"] in left_out:
                        continue
                    self.threads[thread["id"]] = thread.get("historyId")
                    taken += 1
                    if taken == chosen.newest_threads:
                        break

    async def _found(self, client: GmailClient, query: str, label: str | None) -> AsyncGenerator[dict[str, Any]]:
        """Give what a search finds, newest first, but for what has no id."""
        async with aclosing(client.threads_list(query, label)) as pages:
            async for threads in pages:
                for thread in threads:
                    try:
                        thread_id_of(thread, "id")
                    except UNPARSEABLE as error:
                        self.rejected.append(rejection(GmailThread, thread, error, external_id=None))
                    else:
                        yield thread
