"""The two things that an audit looks at again: a stretch of a channel's history, and some of its threads."""

from abc import ABC, abstractmethod
from functools import partial
from math import ceil
from typing import ClassVar

from ingest_assets.sources.concurrency import few
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.channel import ChannelPages, ChannelReader, RowsOfPage
from ingest_assets.sources.slack.methods import LIMITED_OBJECTS, PAGE
from ingest_assets.sources.slack.plan import ChannelCursor, Step
from ingest_assets.sources.slack.records import TOMBSTONE, SlackMessage
from ingest_assets.sources.slack.stretches import Range, Stretch, just_after, just_before
from ingest_assets.sources.slack.threads import LEDGER, Reading
from ingest_assets.storage.schema import StoredRow

ROOM = 9  # in a page, for what we do not hold: rejected items, for one
PAGES, THREADS = 5, 50  # of a channel at once: a crash repeats them
_OWN_TS = SlackMessage.table.c.ts
"""What a parent has as its `thread_ts`."""


class Track(ABC):
    """One of the two; each channel has its stretches of it."""

    name: ClassVar[str]
    """The field of `Audited` and of `AuditPace`."""
    method: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, reader: ChannelReader, days: float) -> None:
        self.reader, self.client, self.run, self.days = reader, reader.client, reader.run, days
        self.existing = reader.existing

    @abstractmethod
    async def total(self) -> int:
        """Return how many requests a whole round takes."""

    def stretches(self, cursor: ChannelCursor) -> list[Stretch]:
        """Return a channel's stretches of it."""
        found: list[Stretch] = getattr(cursor.audited, self.name)
        return found

    @abstractmethod
    async def look(self, reading: Reading, within: Range, most: int, pages: ChannelPages) -> str:
        """Look at the newest of a range, in at most so many requests; return the ts down to which it was seen."""


class AuditedMessages(Track):
    """Messages older than the watch window, as the history shows them: a full page with each request."""

    name, method, title = "messages", "conversations.history", "older messages"

    @property
    def _page(self) -> int:
        return LIMITED_OBJECTS - 1 if self.client.limited else PAGE - ROOM

    async def total(self) -> int:
        rows = await self.existing.counts("channel_id", in_channel=True)
        return sum(ceil(count / self._page) for count in rows.values())

    async def look(self, reading: Reading, within: Range, most: int, pages: ChannelPages) -> str:
        here = {"channel_id": reading.channel_id, "in_channel": True}
        skip = self._page * min(most, PAGES) - 1
        rows = await self.existing.descending("ts", within.latest, ["ts"], skip=skip, limit=1, equal=here)
        end = self.stretches(pages.cursor)[-1].oldest  # what a page shows beyond what is due costs nothing
        oldest = max(just_before(rows[0].ts), end) if rows else end
        step = Step(Range(oldest=oldest, latest=within.latest), fresh_from=within.latest)
        await self.reader.walk(reading, step, pages, _nothing_is_unread)
        return oldest


class AuditedThreads(Track):
    """All threads: an edited reply leaves no trace on the parent, which the history shows."""

    name, method, title = "threads", "conversations.replies", "older threads"

    async def total(self) -> int:
        return sum((await self.existing.counts("channel_id", thread_ts=_OWN_TS)).values())

    async def look(self, reading: Reading, within: Range, most: int, pages: ChannelPages) -> str:
        most = min(most, THREADS)
        parents = await self.existing.descending(
            "ts",
            within.latest,
            ["external_id", "ts", *LEDGER],
            limit=most,
            equal={"channel_id": reading.channel_id, "thread_ts": _OWN_TS},
            deleted_as={"subtype": TOMBSTONE},
        )
        parents = [parent for parent in parents if parent.ts >= within.oldest]
        just_read, is_due = self.reader.threads.read_to_end, self.run.parts.due
        due = [one for one in parents if one.external_id not in just_read and is_due(one.external_id)]
        reading.tried.update(parent.external_id for parent in due)
        page = RowsOfPage(pages, self.run.clock, Rows())
        threads = [partial(self._thread, reading, parent, page) for parent in due]
        await few(threads, at_once=1 if self.client.limited else self.run.options.concurrency)
        await pages.add(page.rows)
        for parent in due:
            if parent.external_id not in reading.read:  # it may be gone as a whole
                around = Range(oldest=just_before(parent.ts), latest=just_after(parent.ts))
                await self.reader.walk(reading, Step(around, around.latest), pages, _nothing_is_unread)
        return just_before(parents[-1].ts) if len(parents) == most else within.oldest

    async def _thread(self, reading: Reading, parent: StoredRow, page: RowsOfPage) -> None:
        read = self.reader.threads.read
        await read(reading, parent.ts, None, parent, shown=set(), take=page.add)


def _nothing_is_unread(_remaining: Range | None) -> None:
    """Take no note of how far a walk came: all of it was read before."""
