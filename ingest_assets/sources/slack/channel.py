"""Read one channel: the walks that a plan asks for, each changed thread whole.

A page's rows commit with what remains to be read after it, so that a crash repeats a page at most. What a channel
refuses is told, and ends nothing else; what was read before is kept.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from ingest_assets.errors import CursorExpired, SourceError, UnexpectedResponse
from ingest_assets.sources.concurrency import few
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.login import Clock
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.client import RATELIMITED, SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import Directory
from ingest_assets.sources.slack.methods import LIMITED_OBJECTS, PAGE
from ingest_assets.sources.slack.plan import (
    ChannelCursor,
    Now,
    Plan,
    Step,
    Walk,
    first_plan,
    healed,
    is_from_the_future,
    next_plan,
    reaching,
    still_unread,
)
from ingest_assets.sources.slack.records import SlackMessage, ts_of
from ingest_assets.sources.slack.spoken import Spoken, spoken
from ingest_assets.sources.slack.stretches import Range
from ingest_assets.sources.slack.threads import (
    LEDGER,
    Reading,
    ThreadReader,
    is_long_pause,
    note_root,
)
from ingest_assets.sources.slack.zones import with_zones
from ingest_assets.sources.source import Page, Store
from ingest_assets.storage.schema import StoredRow

ROWS_A_COMMIT = 2000
TIME_A_COMMIT = timedelta(seconds=30)  # where the vendor's limit makes rows come slowly
KEPT = (SourceError, asyncio.CancelledError)
"""What ends the reading of a channel, while what was read of it is kept: a refusal, or a stop."""
RESTARTS = 3  # of one walk whose page cursor became invalid before it got anywhere


class ChannelPages:
    """One channel's pages; the last one is held back, so that what ends the channel commits with it."""

    def __init__(self, store: Store, channel_id: str, label: str, cursor: ChannelCursor) -> None:
        self.cursor = cursor
        self._store, self._empty = store, Page(stream=channel_id, label=label)
        self._last: Page | None = None

    async def add(self, rows: Rows) -> None:
        before, self._last = self._last, rows.page(stream=self._empty.stream, label=self._empty.label)
        if before is not None:
            await self._store(before)

    def reached(self, unread: list[Range]) -> None:
        """Commit with the last page what remains to be read after it."""
        self.cursor = self.cursor.model_copy(update={"unread": unread})
        self._last = replace(self._last or self._empty, cursor=self.cursor)

    async def flush(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            await self._store(last)

    def last(self, read: Sequence[str]) -> Page:
        """Return the last page, and with it parts that were read to their end."""
        last = self._last or self._empty
        return replace(last, read=[*last.read, *read])


class RowsOfPage:
    """The rows of one of Slack's pages, with its threads; where they are many or slow, in several of ours."""

    def __init__(self, pages: ChannelPages, clock: Clock, rows: Rows) -> None:
        self.rows = rows
        self._pages, self._clock, self._begun = pages, clock, clock.now()

    async def add(self, part: Rows) -> None:
        self.rows.add(part)
        if len(self.rows) >= ROWS_A_COMMIT or self._clock.now() - self._begun >= TIME_A_COMMIT:
            full, self.rows, self._begun = self.rows, Rows(), self._clock.now()
            await self._pages.add(full)


class ChannelReader:
    """Reads the channels of one account."""

    def __init__(self, run: SlackExtraction, client: SlackClient, directory: Directory, store: Store) -> None:
        self.run, self.client, self.directory, self._store = run, client, directory, store
        self.threads = ThreadReader(run, client, directory)
        self.existing = run.existing(SlackMessage)
        self.held: SourceError | None = None
        """A pause that Slack asks for, and that is too long for this sync."""
        self.any_read = False
        self.finished: dict[str, tuple[str, ChannelCursor]] = {}
        """The channels that were read to their end: label and cursor by id."""
        self.unread: dict[str, Reading] = {}
        """By id, the channels of which something was never read."""

    async def read(self, channel: Json) -> None:
        """Read one channel; one that Slack does not let us read is told, and ends nothing else."""
        channel_id = channel["id"]
        if self.run.parts.due(channel_id):
            label = channel.get("name") or channel_id
            await self.guarded(channel_id, label, self._read(channel, label))

    async def guarded(self, channel_id: str, label: str, reading: Awaitable[None]) -> None:
        """Wait until something of a channel was read; tell where Slack does not let us."""
        try:
            await reading
            self.any_read = True
        except SourceError as error:
            self.held = error if is_long_pause(error) else self.held
            if is_long_pause(error) and error.code != RATELIMITED:
                self.run.skipped[label] = RATELIMITED  # another channel was told so; this one was not asked for
            else:
                refused = await self.run.parts.failed(channel_id, label, error)
                await self._store(Page(unreadable=[refused], stream=channel_id, label=label))

    async def _read(self, channel: Json, label: str) -> None:
        channel_id, archived = channel["id"], bool(channel.get("is_archived"))
        saved = self.run.cursors.get(channel_id)
        before = ChannelCursor.model_validate(saved) if saved else None
        cursor = before and reaching(before, ts_of(self.run.started_at - self.run.history))
        if cursor is not None and cursor.archived and archived:  # it was read to its end
            plan = Plan(cursor, [], left=tuple(cursor.unread))
        else:
            plan = await self._plan(channel_id, cursor)
        reading = Reading(channel_id, label, plan)
        await self.follow(reading, before, archived=archived)

    async def follow(self, reading: Reading, before: ChannelCursor | None, *, archived: bool) -> None:
        """Walk a plan's steps, and store the cursor that follows, unless nothing changed."""
        channel_id, plan = reading.channel_id, reading.plan
        pages = ChannelPages(self._store, channel_id, reading.label, plan.cursor)
        try:
            await self._steps(reading, pages)
            await self.threads.others(reading, pages.add)
        except KEPT:
            await pages.flush()
            raise
        last = pages.last(self.run.parts.succeeded(channel_id))
        finished = self._finished(plan, pages.cursor, archived=archived)
        if plan.steps or last.records or last.unreadable or last.read or finished != before:
            await self._store(replace(last, cursor=finished))
        if plan.left:
            self.unread[channel_id] = replace(reading, plan=Plan(finished, [], left=plan.left))
        else:
            self.finished[channel_id] = reading.label, finished

    def _finished(self, plan: Plan, cursor: ChannelCursor, *, archived: bool) -> ChannelCursor:
        now = self.run.started_at
        changed = {
            "unread": list(plan.left),
            "archived": archived,
            "reread_at": cursor.reread_at | dict.fromkeys(plan.reread, now),
            "threads_at": now if plan.threads_since else cursor.threads_at,
        }
        done = cursor.model_copy(update=changed)
        if plan.left or self.run.settings.last_hours is not None:  # what is older is not wanted
            return done
        return with_zones(done, self.run, self._now())

    async def _plan(self, channel_id: str, cursor: ChannelCursor | None) -> Plan:
        limited, now = self.client.limited, self._now()
        watch = self.run.at_most(timedelta(days=self.run.options.watch_days))
        shown = {"channel_id": channel_id, "in_channel": True}
        count = await self.existing.count_after("ts", ts_of(now.earlier - watch), **shown)
        if cursor is None:
            return first_plan(now, self.run.history, watch, limited=limited, stored=count > 0)
        if is_from_the_future(cursor, now):
            cursor = healed(cursor, now, await self.existing.greatest("ts", **shown))
        pages = count / (LIMITED_OBJECTS if limited else PAGE)
        return next_plan(cursor, now, watch, limited=limited, stored_pages=pages)

    def _now(self) -> Now:
        clock, started = self.client.vendor_clock, self.run.started_at
        return Now(started, clock.earlier(started), clock.later(started))

    async def _steps(self, reading: Reading, pages: ChannelPages) -> None:
        """Walk the plan's steps; after each of Slack's pages it is known which ranges have never been read."""
        steps = reading.plan.steps
        for number, step in enumerate(steps):
            later = [after.range for after in steps[number + 1 :] if still_unread(after.range, after.fresh_from)]

            def reached(remaining: Range | None, step: Step = step, later: list[Range] = later) -> None:
                rest = None if remaining is None else still_unread(remaining, step.fresh_from)
                pages.reached([*([rest] if rest else []), *later, *reading.plan.left])

            await self.walk(reading, step, pages, reached)

    async def walk(
        self, reading: Reading, step: Step, pages: ChannelPages, reached: Callable[[Range | None], None]
    ) -> None:
        """Walk one range. `reached` is told after each of Slack's pages what remains to be read of it.

        An invalid page cursor restarts the walk where it had come to.
        """
        channel_id, seen = reading.channel_id, set[str]()
        walk = Walk(step.range)
        known = reading.plan.stored
        stuck = 0
        while stuck <= RESTARTS:
            begun = walk.remaining
            walk = Walk(begun)
            try:
                async for messages in self._history(channel_id, begun):
                    here = spoken(messages)
                    shown = [one.ts for one in here if one.ts is not None]
                    seen.update(shown)
                    await self._page(reading, here, seen, pages, known=known)
                    walk.advance(shown)
                    reached(walk.remaining)
                break
            except CursorExpired:
                known = True  # what came before is stored: to be compared with, and not read again
                stuck = stuck + 1 if walk.remaining == begun else 0
        else:
            told = f"Slack gave up its page cursor {RESTARTS + 1} times in one range."
            raise UnexpectedResponse(told, code="invalid_cursor")
        if known and (gone := await self._gone(reading, step.range, seen)).gone:
            await pages.add(gone)

    def _history(self, channel_id: str, wanted: Range) -> AsyncGenerator[list[Any]]:
        tries = self.run.parts.tries(channel_id)
        return self.client.history(channel_id, oldest=wanted.oldest, latest=wanted.latest, tries=tries)

    async def _gone(self, reading: Reading, read: Range, seen: set[str]) -> Rows:
        """Find what is stored of a range that was read whole, and was not there: messages with their threads."""
        channel_id, refused = reading.channel_id, reading.tried - reading.read
        here = {"channel_id": channel_id}
        shown, parents = await self.existing.values_between(
            [({**here, "in_channel": True}, "ts"), ({**here, "in_channel": False}, "thread_ts")],
            after=read.oldest,
            before=read.latest,
        )
        ids = {SlackMessage.id_of(channel_id, ts) for ts in shown - seen}
        rows = Rows()
        for thread_ts in parents - seen:
            ids |= await self.threads.replies_of(SlackMessage.id_of(channel_id, thread_ts))
        for one in sorted(ids):
            if one in refused or self.run.parts.known(one):  # nothing is left of it to ask for
                rows.read += self.run.parts.succeeded(one) or [one]
        rows.gone = sorted(ids)
        return rows

    async def _page(
        self,
        reading: Reading,
        here: Sequence[Spoken],
        seen: set[str],
        pages: ChannelPages,
        *,
        known: bool,
    ) -> None:
        """Store the rows of one history page, each changed thread whole."""
        page = RowsOfPage(pages, self.run.clock, await self.directory.guests(here))
        ledger: dict[str, StoredRow] = {}
        if known:  # else there is nothing to compare with
            ids = [SlackMessage.id_of(reading.channel_id, one.ts) for one in here if one.ts is not None]
            ledger = await self.existing.by_id(ids, LEDGER)
        threads: list[Callable[[], Awaitable[None]]] = []
        for heard in here:
            record = self.threads.message(page.rows, reading.channel_id, heard, in_channel=True)
            if record is None:
                continue
            row = ledger.get(record.external_id)
            note_root(reading, record)
            if not self.threads.is_due(record, row, reading):
                page.rows.records.append(record)
            elif self.run.parts.due(record.external_id) and record.external_id not in reading.tried:
                reading.tried.add(record.external_id)
                read = partial(self.threads.read, reading, record.ts, record, row, shown=seen, take=page.add)
                threads.append(read)
            else:
                page.rows.records.append(record if record.external_id in reading.read else record.as_of(row))
        try:
            await few(threads, at_once=1 if self.client.limited else self.run.options.concurrency)
        except KEPT:
            await pages.add(page.rows)
            raise
        await pages.add(page.rows)
