"""Read one channel: the walks that `plan` asks for, each changed thread whole.

A parent's stored `reply_count` and `latest_reply` are the ledger of its thread: they are those of the last read of
it that came to its end, and commit with its last replies. A thread that is refused is a part of its own, asked
again wherever it stands; the channel goes on.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ingest_assets.errors import CursorExpired, PartUnreadable, SourceError, Transient, UnexpectedResponse
from ingest_assets.sources.batch import Batch, Result, stored
from ingest_assets.sources.client.retry import PATIENCE
from ingest_assets.sources.concurrency import interleave
from ingest_assets.sources.slack.client import LIMITED_OBJECTS, PAGE, SlackClient
from ingest_assets.sources.slack.directory import Directory, Spoken
from ingest_assets.sources.slack.plan import (
    ChannelCursor,
    Now,
    Plan,
    Range,
    Step,
    Walk,
    first_plan,
    healed,
    is_from_the_future,
    next_plan,
    still_unread,
)
from ingest_assets.sources.slack.records import BROADCAST, TS, SlackMessage, at, ts_of
from ingest_assets.sources.slack.text import said_by
from ingest_assets.sources.source import Extraction, Page
from ingest_assets.storage import reads

ROWS_A_COMMIT = 2000
TIME_A_COMMIT = timedelta(seconds=30)  # where the vendor's limit makes rows come slowly
RESTARTS = 3  # of one walk whose page cursor became invalid before it got anywhere
LEDGER = ["reply_count", "latest_reply"]


@dataclass(frozen=True)
class Reading:
    """One channel while it is read."""

    channel_id: str
    label: str
    plan: Plan
    tried: set[str] = field(default_factory=set)
    """The threads that were asked for."""
    read: set[str] = field(default_factory=set)
    """Those of them that were read to their end."""
    roots: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    """What broadcasts say of threads that began before what is read now: by the parent's ts, its ledger."""

    def page(self, batch: Batch, cursor: ChannelCursor | None = None) -> Page:
        return Page(
            batch.records,
            gone=batch.gone,
            rejected=batch.rejected,
            unreadable=batch.unreadable,
            read=batch.read,
            stream=self.channel_id,
            cursor=cursor,
            label=self.label,
        )


class ChannelReader:
    """Reads the channels of one account."""

    def __init__(self, run: Extraction, client: SlackClient, directory: Directory) -> None:
        self.run, self.client, self.directory = run, client, directory
        self.held: SourceError | None = None
        """A pause that Slack asks for, and that is too long for this sync: for the caller, once all was tried."""

    async def read(self, channel: dict[str, Any]) -> AsyncGenerator[Page]:
        """Read one channel; one that Slack does not let us read is told, and ends nothing else."""
        channel_id, parts = channel["id"], self.run.parts
        if not parts.due(channel_id):
            return
        label = channel.get("name") or channel_id
        try:
            async with aclosing(self._pages(channel, label)) as pages:
                async for page in pages:
                    yield page
        except SourceError as error:
            if _holds_all(error):
                self.held = error
            else:
                refused = await parts.failed(channel_id, label, error)
                yield Page(unreadable=[refused], stream=channel_id, label=label)

    async def _pages(self, channel: dict[str, Any], label: str) -> AsyncGenerator[Page]:
        channel_id, archived = channel["id"], bool(channel.get("is_archived"))
        saved = self.run.cursors.get(channel_id)
        cursor = ChannelCursor.model_validate(saved) if saved else None
        over = cursor is not None and cursor.archived and archived and not cursor.unread
        plan = Plan(cursor, []) if over and cursor else await self._plan(channel_id, cursor)  # read to its end
        reading = Reading(channel_id, label, plan)
        cursor, last = plan.cursor, None  # held back, so that what ends the channel commits with its last rows
        try:
            async with aclosing(self._batches(reading)) as batches:
                async for batch, unread in batches:
                    if last is not None:
                        yield last
                    if unread is not None:
                        cursor = cursor.model_copy(update={"unread": unread})
                    last = reading.page(batch, None if unread is None else cursor)
        except SourceError:  # what was read is kept
            if last is not None:
                yield last
            raise
        last = last or reading.page(Batch())
        last = replace(last, read=[*last.read, *self.run.parts.succeeded(channel_id)])
        if not over or last.records or last.unreadable or last.read:
            yield replace(last, cursor=self._finished(plan, cursor, archived=archived))

    def _finished(self, plan: Plan, cursor: ChannelCursor, *, archived: bool) -> ChannelCursor:
        now = self.run.started_at
        changed = {
            "unread": [],
            "archived": archived,
            "reread_at": cursor.reread_at | dict.fromkeys(plan.reread, now),
            "threads_at": now if plan.threads_since else cursor.threads_at,
        }
        return cursor.model_copy(update=changed)

    async def _plan(self, channel_id: str, cursor: ChannelCursor | None) -> Plan:
        clock, limited = self.client.vendor_clock, self.client.limited
        started = self.run.started_at
        now = Now(started, clock.earlier(started), clock.later(started))
        options, choice = self.run.options, self.run.settings
        history = choice.at_most(timedelta(days=options.history_days))
        watch = choice.at_most(timedelta(days=options.watch_days))
        shown = {"channel_id": channel_id, "in_channel": True}
        rows = await self._held(reads.count_stored, shown, column="ts", after=ts_of(now.earlier - watch))
        if cursor is None:
            return first_plan(now, history, watch, limited=limited, stored=rows > 0)
        if is_from_the_future(cursor, now):
            cursor = healed(cursor, now, await self._held(reads.greatest, shown, column="ts"))
        pages = rows / (LIMITED_OBJECTS if limited else PAGE)
        return next_plan(cursor, now, history, watch, limited=limited, stored_pages=pages)

    async def _batches(self, reading: Reading) -> AsyncGenerator[tuple[Batch, list[Range] | None]]:
        """Walk the plan's steps, then read threads that no walk meets.

        Gives rows, and after each of Slack's pages the ranges that have never been read.
        """
        steps = reading.plan.steps
        for number, step in enumerate(steps):
            later = [after.range for after in steps[number + 1 :] if still_unread(after.range, after.fresh_from)]
            async with aclosing(self._walk(reading, step)) as batches:
                async for batch, remaining in batches:
                    rest = None if remaining is None else still_unread(remaining, step.fresh_from)
                    unread = None if remaining is None else [rest, *later] if rest else later
                    yield batch, unread
        async with aclosing(self._other_threads(reading)) as threads:
            async for batch in threads:
                yield batch, None

    async def _walk(self, reading: Reading, step: Step) -> AsyncGenerator[tuple[Batch, Range | None]]:
        """Walk one range: batches of rows, and after each of Slack's pages what remains to be read.

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
                async with aclosing(self._history(channel_id, begun)) as pages:
                    async for messages in pages:
                        last = None
                        try:
                            async with aclosing(self._page(reading, messages, seen, known=known)) as batches:
                                async for batch in batches:
                                    if last is not None:
                                        yield last, None
                                    last = batch
                        except SourceError:  # what was read is kept
                            if last is not None:
                                yield last, None
                            raise
                        walk.advance([ts for message in messages if (ts := _ts(message))])
                        yield Batch() if last is None else last, walk.remaining
                break
            except CursorExpired:
                known = True  # what came before is stored: to be compared with, and not read again
                stuck = stuck + 1 if walk.remaining == begun else 0
        else:
            raise UnexpectedResponse(f"Slack gave up its page cursor {RESTARTS + 1} times in one range.")
        if known and (gone := await self._gone(channel_id, step.range, seen)).gone:
            yield gone, None

    def _history(self, channel_id: str, wanted: Range) -> AsyncGenerator[list[Any]]:
        tries = self.run.parts.tries(channel_id)
        return self.client.history(channel_id, oldest=wanted.oldest, latest=wanted.latest, tries=tries)

    async def _gone(self, channel_id: str, read: Range, seen: set[str]) -> Batch:
        """Find what is stored of a range that was read whole, and was not there: messages with their threads."""
        here = {"channel_id": channel_id}
        shown, parents = await self._held(
            reads.stored_values,
            [({**here, "in_channel": True}, "ts"), ({**here, "in_channel": False}, "thread_ts")],
            after=read.oldest,
            before=read.latest,
        )
        ids = {SlackMessage.id_of(channel_id, ts) for ts in shown - seen}
        batch = Batch()
        for thread_ts in parents - seen:
            ids |= await self._replies_of(SlackMessage.id_of(channel_id, thread_ts))
        for conversation_id in sorted(ids):  # of a thread that is gone nothing is left to ask for
            batch.read += self.run.parts.succeeded(conversation_id)
        batch.gone = sorted(ids)
        return batch

    async def _replies_of(self, conversation_id: str) -> set[str]:
        where = {"conversation_id": conversation_id, "in_channel": False}
        return {row.external_id for row in await self._held(reads.rows_where, where, ["external_id"])}

    async def _held(self, read: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Ask what we hold of the account's messages."""
        return await stored(self.run, read, SlackMessage.table, self.run.account.account_id, *args, **kwargs)

    async def _page(
        self, reading: Reading, messages: list[Any], seen: set[str], *, known: bool
    ) -> AsyncGenerator[Batch]:
        """Give the rows of one history page, each changed thread whole."""
        spoken = _spoken(messages)
        batch, threads = await self.directory.guests(spoken), []
        page_seen = {ts for message in messages if (ts := _ts(message))}
        seen |= page_seen
        ledger: dict[str, Any] = {}
        if known:  # else there is nothing to compare with
            ids = [SlackMessage.id_of(reading.channel_id, ts) for ts in page_seen]
            ledger = await self._held(reads.stored, ids, LEDGER)
        for heard in spoken:
            record = self._message(batch, reading.channel_id, heard, in_channel=True)
            if record is None:
                continue
            row = ledger.get(record.external_id)
            _note_root(reading, record)
            if not self._is_due(record, row, reading):
                batch.records.append(record)
            elif self.run.parts.due(record.external_id) and record.external_id not in reading.tried:
                reading.tried.add(record.external_id)
                threads.append(self._thread(reading, record.ts, record, row, shown=seen))
            else:
                batch.records.append(record if record.external_id in reading.read else record.as_of(row))
        begun = self.run.clock.now()
        try:
            at_once = 1 if self.client.limited else self.run.options.concurrency
            async with aclosing(interleave(threads, at_once=at_once)) as parts:
                async for part in parts:
                    batch.add(part)
                    if len(batch) >= ROWS_A_COMMIT or self.run.clock.now() - begun >= TIME_A_COMMIT:
                        yield batch
                        batch, begun = Batch(), self.run.clock.now()
        except SourceError:  # what was read is kept
            yield batch
            raise
        yield batch

    def _is_due(self, record: SlackMessage, row: Any, reading: Reading) -> bool:
        """Tell whether a message's thread is to be read: it changed, or could not be read before."""
        if record.thread_ts not in (None, record.ts):
            return False  # a broadcast reply; its parent tells
        if self.run.parts.known(record.external_id):
            return True
        return _thread_changed(record, row, reading.plan.threads_since)

    async def _thread(
        self, reading: Reading, root_ts: str, parent: SlackMessage | None, row: Any, *, shown: set[str]
    ) -> AsyncGenerator[Batch]:
        """Read a thread to its end; the parent comes last, and with it the right to say that all is there.

        `parent`: None where only the thread itself shows it. `row`: the parent's ledger. `shown`: the ts that the
        channel's history has given already.
        """
        channel_id, parts, limited = reading.channel_id, self.run.parts, self.client.limited
        root = SlackMessage.id_of(channel_id, root_ts)
        present: set[str] = set()
        held = await self._replies_of(root) if row is not None or limited else set()
        # a request a minute may not reach a long thread's end in one sync; where replies went, from its front
        resumed = bool(held) and limited and parent is not None and len(held) <= (parent.reply_count or 0)
        after = max(held).partition(":")[2] if resumed else None
        asked = self.client.replies(channel_id, root_ts, after=after, tries=parts.tries(root))
        found = parent
        try:
            async with aclosing(asked) as pages:
                async for messages in pages:
                    spoken = _spoken(messages)
                    batch = await self.directory.guests(spoken)
                    for heard in spoken:
                        ts = _ts(heard[0])
                        if ts is not None:
                            present.add(SlackMessage.id_of(channel_id, ts))
                        if ts == root_ts and found is None:
                            found = self._message(batch, channel_id, heard, in_channel=True)
                        elif ts != root_ts and ts not in shown:  # else it stands in the channel's history
                            reply = self._message(batch, channel_id, heard, in_channel=False)
                            batch.records += [] if reply is None else [reply]
                    yield batch
            if found is None:
                raise PartUnreadable("Slack shows a thread without its first message.", code="no_parent")
        except SourceError as error:
            if _holds_all(error):
                raise
            name = f"thread of {at(root_ts):%Y-%m-%d %H:%M} UTC in {reading.label}"
            refused = Batch([] if parent is None else [parent.as_of(row)])
            refused.unreadable.append(await parts.failed(root, name, error))
            yield refused
            return
        reading.read.add(root)
        yield Batch([found], gone=[] if resumed else sorted(held - present), read=parts.succeeded(root))

    async def _other_threads(self, reading: Reading) -> AsyncGenerator[Batch]:
        """Read threads that no walk meets: those that broadcasts tell of, and those that were refused before."""
        channel_id = reading.channel_id
        roots = {SlackMessage.id_of(channel_id, ts): claimed for ts, claimed in reading.roots.items()}
        again = [part for part in self.run.parts.waiting(f"{channel_id}:") if part not in roots]
        if not roots and not again:
            return
        ledger = await self._held(reads.stored, [*roots, *again], LEDGER)
        if self.run.settings.last_hours is not None:  # then only older threads that are stored are wanted
            roots = {root: claimed for root, claimed in roots.items() if root in ledger}
        changed = [root for root, claimed in roots.items() if claimed != _claims(ledger.get(root))]
        for root in [*changed, *again]:
            if root not in reading.tried and self.run.parts.due(root):
                reading.tried.add(root)
                ts = root.partition(":")[2]
                async with aclosing(self._thread(reading, ts, None, ledger.get(root), shown=set())) as batches:
                    async for batch in batches:
                        yield batch

    def _message(self, batch: Batch, channel_id: str, heard: Spoken, *, in_channel: bool) -> SlackMessage | None:
        message, said = heard

        def parse(item: Any) -> SlackMessage:
            account, names = self.run.account, self.directory.names
            return SlackMessage.from_api(account, channel_id, item, names, in_channel=in_channel, said=said)

        ts = _ts(message)
        external_id = SlackMessage.id_of(channel_id, ts) if ts else None
        return batch.parsed(SlackMessage, message, parse, external_id=external_id)


def _spoken(messages: Sequence[Any]) -> list[Spoken]:
    return [(message, said_by(message) if isinstance(message, dict) else None) for message in messages]


def _ts(message: Any) -> str | None:
    ts = message.get("ts") if isinstance(message, dict) else None
    return ts if isinstance(ts, str) and TS.fullmatch(ts) else None


def _holds_all(error: SourceError) -> bool:
    """Tell whether Slack asks for a pause that is too long for this sync: it counts by method, not by channel."""
    return isinstance(error, Transient) and error.retry_after is not None and error.retry_after > PATIENCE


def _note_root(reading: Reading, record: SlackMessage) -> None:
    """Take note of what a broadcast says of its thread, where no walk meets the thread's parent."""
    root, begun = record.raw.get("root"), record.thread_ts
    if record.subtype != BROADCAST or not isinstance(root, dict) or begun is None or not TS.fullmatch(begun):
        return
    walked = any(step.range.oldest <= begun <= step.range.latest for step in reading.plan.steps)
    count, latest = root.get("reply_count"), root.get("latest_reply")
    if not walked and isinstance(count, int) and isinstance(latest, str):
        reading.roots[begun] = (count, latest)


def _claims(row: Any) -> tuple[int, str | None]:
    return (row.reply_count or 0, row.latest_reply) if row is not None else (0, None)


def _thread_changed(parent: SlackMessage, row: Any, threads_since: str | None) -> bool:
    """Compare a message's claims about its thread with the ledger."""
    if _claims(parent) != _claims(row):
        return True
    return threads_since is not None and parent.latest_reply is not None and parent.latest_reply > threads_since
