"""Read one channel: the walks that `plan` asks for, each changed thread whole.

A parent is stored only together with its replies. So its stored `reply_count` and `latest_reply` are the
ledger of what we hold, and a crash between the two is impossible.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ingest_assets.errors import CursorExpired, PartUnreadable, SourceError, UnexpectedResponse
from ingest_assets.sources.batch import Batch, Result, stored
from ingest_assets.sources.concurrency import interleave
from ingest_assets.sources.slack.client import LIMITED_OBJECTS, PAGE, SlackClient
from ingest_assets.sources.slack.directory import Directory
from ingest_assets.sources.slack.plan import (
    ChannelCursor,
    Plan,
    Range,
    Step,
    Walk,
    first_plan,
    next_plan,
    still_unread,
)
from ingest_assets.sources.slack.records import TS, SlackMessage, ts_of
from ingest_assets.sources.source import Extraction, Page
from ingest_assets.storage import reads

ROWS_A_COMMIT = 2000
TIME_A_COMMIT = timedelta(seconds=30)  # where the vendor's limit makes rows come slowly
RESTARTS = 3  # of one walk whose page cursor became invalid before it got anywhere


class ChannelReader:
    """Reads the channels of one account."""

    def __init__(self, run: Extraction, client: SlackClient, directory: Directory) -> None:
        self.run, self.client, self.directory = run, client, directory

    async def read(self, channel: dict[str, Any]) -> AsyncGenerator[Page]:
        """Read one channel; what Slack does not let us read is skipped and told."""
        label = channel.get("name") or channel["id"]
        archived = bool(channel.get("is_archived"))
        saved = self.run.cursors.get(channel["id"])
        cursor = ChannelCursor.model_validate(saved) if saved else None
        if cursor and cursor.archived and archived and not cursor.unread:
            return  # read to its end after it was archived
        plan = await self._plan(channel["id"], cursor)
        cursor = plan.cursor
        last: Page | None = None  # held back, so that what ends the channel commits with its last rows
        try:
            for number, step in enumerate(plan.steps):
                later = [after.range for after in plan.steps[number + 1 :]]
                async with aclosing(self._walk(channel["id"], step, plan)) as batches:
                    async for batch, remaining in batches:
                        if last is not None:
                            yield last
                        if remaining is not None:
                            rest = still_unread(remaining, step.fresh_from)
                            cursor = cursor.model_copy(update={"unread": [rest, *later] if rest else later})
                        last = Page(
                            batch.records,
                            gone=batch.gone,
                            rejected=batch.rejected,
                            stream=channel["id"],
                            cursor=cursor if remaining is not None else None,
                            label=label,
                        )
                cursor = cursor.model_copy(update={"unread": later})
        except SourceError as error:
            if last is not None:
                yield last
            if not isinstance(error, PartUnreadable):
                raise
            self.run.skipped[label] = error.code
            return
        now = self.run.started_at
        cursor = cursor.model_copy(
            update={
                "archived": archived,
                "reread_at": cursor.reread_at | dict.fromkeys(plan.reread, now),
                "threads_at": now if plan.threads_since else cursor.threads_at,
            }
        )
        yield replace(last or Page(stream=channel["id"], label=label), cursor=cursor)

    async def _plan(self, channel_id: str, cursor: ChannelCursor | None) -> Plan:
        now, limited = self.run.started_at, self.client.limited
        options, choice = self.run.options, self.run.settings
        history = choice.at_most(timedelta(days=options.history_days))
        watch = choice.at_most(timedelta(days=options.watch_days))
        if cursor is None:
            return first_plan(now, history, watch, limited=limited)
        rows = await self._count(channel_id, after=ts_of(now - watch))
        pages = rows / (LIMITED_OBJECTS if limited else PAGE)
        return next_plan(cursor, now, history, watch, limited=limited, stored_pages=pages)

    async def _count(self, channel_id: str, *, after: str) -> int:
        """Count what we hold of the channel itself since a ts."""
        shown = {"channel_id": channel_id, "in_channel": True}
        return await self._held(reads.count_stored, shown, column="ts", after=after)

    async def _walk(self, channel_id: str, step: Step, plan: Plan) -> AsyncGenerator[tuple[Batch, Range | None]]:
        """Walk one range: batches of rows, and after each of Slack's pages what remains to be read.

        An invalid page cursor restarts the walk where it had come to.
        """
        seen: set[str] = set()
        walk = Walk(step.range)
        known = plan.stored
        stuck = 0
        while stuck <= RESTARTS:
            begun = walk.remaining
            walk = Walk(begun)
            try:
                async with aclosing(
                    self.client.history(channel_id, oldest=begun.oldest, latest=begun.latest)
                ) as pages:
                    async for messages in pages:
                        last = None
                        async with aclosing(
                            self._page(channel_id, messages, seen, plan.threads_since, known=known)
                        ) as batches:
                            async for batch in batches:
                                if last is not None:
                                    yield last, None
                                last = batch
                        walk.advance([ts for message in messages if (ts := _ts(message))])
                        yield Batch() if last is None else last, walk.remaining
                break
            except CursorExpired:
                known = True  # what came before is stored: to be compared with, and not read again
                stuck = stuck + 1 if walk.remaining == begun else 0
        else:
            raise UnexpectedResponse(f"Slack gave up its page cursor {RESTARTS + 1} times in one range.")
        if known and (gone := await self._gone(channel_id, step.range, seen)):
            yield Batch(gone=gone), None

    async def _gone(self, channel_id: str, read: Range, seen: set[str]) -> list[str]:
        """Find what is stored of a range that was read whole, and was not there: messages with their threads."""

        here = {"channel_id": channel_id}
        shown, parents = await self._held(
            reads.stored_values,
            [({**here, "in_channel": True}, "ts"), ({**here, "in_channel": False}, "thread_ts")],
            after=read.oldest,
            before=read.latest,
        )
        ids = {SlackMessage.id_of(channel_id, ts) for ts in shown - seen}
        for thread_ts in parents - seen:
            ids |= await self._replies_of(SlackMessage.id_of(channel_id, thread_ts))
        return sorted(ids)

    async def _replies_of(self, conversation_id: str) -> set[str]:
        where = {"conversation_id": conversation_id, "in_channel": False}
        return {row.external_id for row in await self._held(reads.rows_where, where, ["external_id"])}

    async def _held(self, read: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Ask what we hold of the account's messages."""
        return await stored(self.run, read, SlackMessage.table, self.run.account.account_id, *args, **kwargs)

    async def _page(
        self, channel_id: str, messages: list[Any], seen: set[str], threads_since: str | None, *, known: bool
    ) -> AsyncGenerator[Batch]:
        """Give the rows of one history page, each changed thread whole."""
        batch, threads = await self.directory.guests(messages), []
        page_seen = {ts for message in messages if (ts := _ts(message))}
        seen |= page_seen
        ledger: dict[str, Any] = {}
        if known:  # else there is nothing to compare with
            ids = [SlackMessage.id_of(channel_id, ts) for ts in page_seen]
            ledger = await self._held(reads.stored, ids, ["reply_count", "latest_reply"])
        for message in messages:
            record = self._message(batch, channel_id, message, in_channel=True)
            if record is None:
                continue
            row = ledger.get(record.external_id)
            if _thread_changed(record, row, threads_since):
                threads.append(self._thread(record, known=row is not None, shown=seen))
            else:
                batch.records.append(record)
        begun = self.run.clock.now()
        async with aclosing(
            interleave(threads, at_once=1 if self.client.limited else self.run.options.concurrency)
        ) as parts:
            async for part in parts:
                batch.add(part)
                if len(batch) >= ROWS_A_COMMIT or self.run.clock.now() - begun >= TIME_A_COMMIT:
                    yield batch
                    batch, begun = Batch(), self.run.clock.now()
        yield batch

    async def _thread(self, parent: SlackMessage, *, known: bool, shown: set[str]) -> AsyncGenerator[Batch]:
        """Read a thread to its end; the parent comes last, and with it the right to say that all is there."""
        present: set[str] = set()
        limited = self.client.limited
        held = await self._replies_of(parent.external_id) if known or limited else set()
        # a request a minute may not reach a long thread's end in one sync; where replies went, from its front
        resumed = bool(held) and limited and len(held) <= (parent.reply_count or 0)
        after = max(held).partition(":")[2] if resumed else None
        try:
            async with aclosing(self.client.replies(parent.channel_id, parent.ts, after=after)) as pages:
                async for messages in pages:
                    batch = await self.directory.guests(messages)
                    for message in messages:
                        if (ts := _ts(message)) is not None:
                            present.add(SlackMessage.id_of(parent.channel_id, ts))
                        if ts in shown:  # the parent, or a broadcast: they stand in the channel's history
                            continue
                        reply = self._message(batch, parent.channel_id, message, in_channel=False)
                        if reply is not None:
                            batch.records.append(reply)
                    yield batch
        except PartUnreadable as error:
            self.run.skipped[parent.external_id] = error.code
            yield Batch([parent])
            return
        yield Batch([parent], gone=[] if resumed else sorted(held - present))

    def _message(self, batch: Batch, channel_id: str, message: Any, *, in_channel: bool) -> SlackMessage | None:
        def parse(item: Any) -> SlackMessage:
            account, names = self.run.account, self.directory.names
            return SlackMessage.from_api(account, channel_id, item, names, in_channel=in_channel)

        ts = _ts(message)
        external_id = SlackMessage.id_of(channel_id, ts) if ts else None
        return batch.parsed(SlackMessage, message, parse, external_id=external_id)


def _ts(message: Any) -> str | None:
    ts = message.get("ts") if isinstance(message, dict) else None
    return ts if isinstance(ts, str) and TS.fullmatch(ts) else None


def _thread_changed(parent: SlackMessage, row: Any, threads_since: str | None) -> bool:
    """Compare a message's claims about its thread with the ledger."""
    if parent.thread_ts not in (None, parent.ts):
        return False  # a broadcast reply; its parent tells
    stored = (row.reply_count or 0, row.latest_reply) if row is not None else (0, None)
    claimed = (parent.reply_count or 0, parent.latest_reply)
    if claimed != stored:
        return True
    return threads_since is not None and parent.latest_reply is not None and parent.latest_reply > threads_since
