"""Read those old threads first in which search finds a reply that we do not hold.

The audit carries the promise: what search leaves out, answers late or does not answer at all is found by it. So a
hint marks nothing as looked at, and what search or a thread that it names refuses is no failure of the account.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from ingest_assets.errors import CredentialRejected, SourceError
from ingest_assets.sources.concurrency import few
from ingest_assets.sources.parts import Parts
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.channel import ChannelPages, ChannelReader, RowsOfPage
from ingest_assets.sources.slack.client import RATELIMITED
from ingest_assets.sources.slack.directory import SearchCursor
from ingest_assets.sources.slack.methods import SEARCH
from ingest_assets.sources.slack.plan import Plan
from ingest_assets.sources.slack.records import SlackMessage, ts_of
from ingest_assets.sources.slack.search import Hit, find_replies, searching
from ingest_assets.sources.slack.threads import LEDGER, Reading, ThreadReader
from ingest_assets.sources.source import Page, Store
from ingest_assets.storage.schema import StoredRow

RHYTHM = timedelta(hours=1)
OVERLAP = timedelta(hours=2)  # for replies that search found late
FIRST_LOOK = timedelta(days=7)  # with a new token; what is older the audit has seen
TRIES = 2  # of a request: a hint is worth no long wait
THREADS, LIMITED_THREADS = 50, 2  # read for hints in one sync
LONGEST = timedelta(minutes=3)  # of one sync
MOST_WAITING = 500  # threads; the audit finds the others

Note = Callable[[SearchCursor], Awaitable[None]]


class Hints:
    """Follows the hints of one account, once its channels were read."""

    def __init__(self, reader: ChannelReader, store: Store, cursor: SearchCursor, note: Note) -> None:
        """`note`: stores the cursor that follows."""
        self.reader, self.run, self.cursor, self._note = reader, reader.run, cursor, note
        self._store, self._until = store, self.run.clock.now() + LONGEST
        # with parts of its own: what a thread refuses that a hint names is not told, and asks nothing of the login
        self._threads = ThreadReader(replace(self.run, parts=Parts()), reader.client, reader.directory)
        self._threads.read_to_end = reader.threads.read_to_end
        self._left: list[str] = []

    async def follow(self) -> None:
        """Look for hints, at most once an hour, and read what they name."""
        parts = self.run.parts
        if self.run.credential.search_token is None:
            if parts.known(SEARCH):
                await self._store(Page(read=parts.succeeded(SEARCH)))
            await self._come_to(SearchCursor())
            return
        if self._is_due():
            await self._look()
        if self.cursor.waiting:
            await self._read()

    async def _come_to(self, cursor: SearchCursor) -> None:
        before, self.cursor = self.cursor, cursor
        if cursor != before:
            await self._note(cursor)

    def _is_due(self) -> bool:
        last = self.cursor.looked_at
        recent = last is not None and timedelta(0) <= self.run.started_at - last < RHYTHM
        return not recent and self.run.parts.due(SEARCH)

    async def _look(self) -> None:
        """Ask search what was replied since the last look."""
        parts, started = self.run.parts, self.run.started_at
        since = min(self.cursor.looked_at or started - FIRST_LOOK, started) - OVERLAP
        tries = min(TRIES, parts.tries(SEARCH))
        try:
            async with searching(self.run) as client:
                hits = await find_replies(client, since, started, tries=tries)
        except SourceError as error:
            await self._store(Page(unreadable=[parts.unhelpful(SEARCH, SEARCH, error, _told(error))]))
            return
        await self._store(Page(read=parts.succeeded(SEARCH)))  # and what was read before, to be compared with
        waiting = dict.fromkeys([*self.cursor.waiting, *await self._unknown(hits)])
        await self._come_to(SearchCursor(looked_at=started, waiting=list(waiting)[:MOST_WAITING]))

    async def _unknown(self, hits: Sequence[Hit]) -> list[str]:
        """Return the old threads of which something is not stored, by their parents' external ids."""
        run, id_of = self.run, SlackMessage.id_of
        until = ts_of(run.started_at - run.at_most(timedelta(days=run.options.watch_days)))
        since = "" if run.kept_since is None else ts_of(run.kept_since)
        old = [hit for hit in hits if since <= hit.thread_ts < until and hit.channel_id in self.reader.finished]
        ids = {id_of(hit.channel_id, ts) for hit in old for ts in (hit.ts, hit.thread_ts)}
        rows = await self.reader.existing.by_id(sorted(ids), ["ts", "thread_ts", "latest_reply"]) if ids else {}
        found = []
        for hit in old:
            root = id_of(hit.channel_id, hit.thread_ts)
            parent, reply = rows.get(root), rows.get(id_of(hit.channel_id, hit.ts))
            if parent is None:
                wanted = run.settings.last_hours is None  # else only older threads that are stored are wanted
            else:
                behind = reply is None or parent.latest_reply is None or parent.latest_reply < hit.ts
                wanted = behind and parent.thread_ts in (None, parent.ts)
            if wanted:
                found.append(root)
        return found

    async def _read(self) -> None:
        """Read as many threads as a sync may; what is left waits, as long as its channel can be read."""
        here = [root for root in self.cursor.waiting if root.partition(":")[0] in self.reader.finished]
        here = [root for root in here if root not in self._threads.read_to_end]
        limited = self.reader.client.limited
        most = LIMITED_THREADS if limited else THREADS
        ledger = await self.reader.existing.by_id(here[:most], LEDGER)
        threads = [partial(self._thread, root, ledger.get(root)) for root in here[:most]]
        await few(threads, at_once=1 if limited else self.run.options.concurrency)
        await self._come_to(self.cursor.model_copy(update={"waiting": [*self._left, *here[most:]]}))

    async def _thread(self, root: str, row: StoredRow | None) -> None:
        if self.run.clock.now() >= self._until:
            self._left.append(root)
            return
        channel_id, _, ts = root.partition(":")
        label, cursor = self.reader.finished[channel_id]
        reading = Reading(channel_id, label, Plan(cursor, [], stored=True), audited=True)
        pages = ChannelPages(self._store, channel_id, label, cursor)
        page = RowsOfPage(pages, self.run.clock, Rows())

        async def take(rows: Rows) -> None:
            if any(part.part == root and part.code == RATELIMITED for part in rows.unreadable):
                self._left.append(root)
                self._until = self.run.clock.now()
            rows.unreadable = [part for part in rows.unreadable if part.part != root]
            rows.records = [record for record in rows.records if _belongs(record, root)]
            await page.add(rows)

        await self._threads.read(reading, ts, None, row, shown=set(), take=take)
        await pages.add(page.rows)
        await pages.flush()


def _belongs(record: object, root: str) -> bool:
    """Tell whether a message is of a thread: search may name a reply as its parent."""
    return not isinstance(record, SlackMessage) or record.conversation_id == root


def _told(error: SourceError) -> str:
    mend = (
        "Connect the account again, with a search token that works or without one."
        if isinstance(error, CredentialRejected)
        else "It is asked again by itself."
    )
    return f"{error} {mend} Late replies to old threads are found by the audit alone meanwhile."
