"""The threads that a mailbox's search finds."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailSettings
from ingest_assets.sources.gmail.history import history_id_of, thread_id_of
from ingest_assets.sources.gmail.records import GmailThread
from ingest_assets.sources.rejected import UNPARSEABLE, Rejected, rejection


@dataclass
class Listing:
    """The threads of some labels."""

    threads: dict[str, str | None] = field(default_factory=dict)
    """By thread its historyId."""
    rejected: list[Rejected] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Threads that the mailbox's settings keep out, by the reason: of older ones those that were listed anyway."""

    def last_change(self) -> int:
        """Return the last historyId of any thread."""
        return max((int(one) for one in map(history_id_of, self.threads.values()) if one is not None), default=0)

    async def read(self, client: GmailClient, query: str, chosen: GmailSettings) -> None:
        """List what a search finds in the chosen labels; a thread may have several.

        Raises CursorExpired where Gmail lost its place.
        """
        excluded: set[str] = (
            set()
        )  # by listing them: a search term names a label by its name, which may hold anything
        for label in chosen.exclude_labels:
            async for threads in self._found(client, query, label):
                excluded |= threads.keys()
        searched: Sequence[str | None] = chosen.labels or [None]
        for wanted in searched:
            taken = 0
            async for threads in self._found(client, query, wanted):
                left = {one: history_id for one, history_id in threads.items() if one not in excluded}
                self.left_out["excluded label"] += len(threads) - len(left)
                most = None if chosen.newest_threads is None else chosen.newest_threads - taken
                ids = list(left)[:most]
                self.threads |= {one: left[one] for one in ids}
                taken += len(ids)
                if taken == chosen.newest_threads:
                    self.left_out[f"older than the newest {taken}"] += len(left) - len(ids)
                    break

    async def _found(
        self, client: GmailClient, query: str, label: str | None
    ) -> AsyncGenerator[dict[str, str | None]]:
        """Yield pages of what a search finds, newest first, but for what has no id: by thread its historyId."""
        async for threads in client.threads_list(query, label):
            found: dict[str, str | None] = {}
            for thread in threads:
                try:
                    found[thread_id_of(thread, "id")] = thread.get("historyId")
                except UNPARSEABLE as error:
                    self.rejected.append(rejection(GmailThread, thread, error, external_id=None))
            yield found
