"""Read one Slack account: directory, channels, and in each channel what `plan` says, threads included.

A parent is stored only together with its replies. So its stored `reply_count` and `latest_reply` are the
ledger of what we hold, and a crash between the two is impossible.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from ingest_assets.errors import CursorExpired, SourceError, Unavailable, UnexpectedResponse
from ingest_assets.sources.base import UNPARSEABLE, Extraction, Page, Record, Rejected, rejection
from ingest_assets.sources.patience import interleave
from ingest_assets.sources.slack.client import LIMITED_OBJECTS, PAGE, SlackClient
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
from ingest_assets.sources.slack.records import Names, SlackChannel, SlackMessage, SlackUser, ts_of
from ingest_assets.sources.slack.text import markup_of, mentioned
from ingest_assets.storage import reads

ACCOUNT = ""  # the stream of what concerns the account as a whole; the others are channel ids
DIRECTORY_RHYTHM = timedelta(days=1)
CHANNELS_AT_ONCE = 4
ROWS_A_COMMIT = 2000
TIME_A_COMMIT = timedelta(seconds=30)  # where the vendor's limit makes rows come slowly
RESTARTS = 3  # of one walk whose page cursor became invalid

Result = TypeVar("Result")


class AccountCursor(BaseModel):
    """What we know of the account."""

    users_read_at: datetime | None = None
    limited: bool = False


@dataclass
class _Batch:
    """Rows on their way into one page."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.rejected)

    def add(self, other: "_Batch") -> None:
        self.records += other.records
        self.rejected += other.rejected
        self.gone += other.gone


async def extract(run: Extraction) -> AsyncGenerator[Page]:
    """Yield the account's pages; `run.skipped` tells which channels could not be read."""
    known = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {}))
    chosen = run.settings.app_class
    async with SlackClient.open(
        run.credential.token,
        base_url=run.options.api_url,
        in_flight=run.options.concurrency,
        clock=run.clock,
        calls=run.calls,
        paced=run.options.pacing,
        limited=chosen == "limited" or (chosen == "auto" and known.limited),
    ) as client:
        client.may_become_limited = chosen == "auto"
        reader = _Reader(run, client)
        async with aclosing(reader.directory(known)) as pages:
            async for page in pages:
                yield page
        channels = [reader.channel(channel) for channel in await reader.selected()]
        async with aclosing(interleave(channels, at_once=CHANNELS_AT_ONCE)) as pages:
            async for page in pages:
                yield page
                if client.limited and chosen == "auto" and not reader.account.limited:
                    reader.account = reader.account.model_copy(update={"limited": True})
                    yield Page(stream=ACCOUNT, cursor=reader.account)


class _Reader:
    """One account being read."""

    def __init__(self, run: Extraction, client: SlackClient) -> None:
        self.run, self.client = run, client
        self.names = Names()
        self.account = AccountCursor()
        self.listed: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()

    async def directory(self, known: AccountCursor) -> AsyncGenerator[Page]:
        """Learn users (daily) and channels (always) by name."""
        stored = await self._stored(
            reads.rows_where, SlackUser.table, self.run.account.account_id, {}, ["external_id", "name"]
        )
        self.names.users |= {row.external_id: row.name for row in stored if row.name}
        self._asked = {row.external_id for row in stored}
        self.account = known
        if known.users_read_at is None or self.run.started_at - known.users_read_at >= DIRECTORY_RHYTHM:
            async with aclosing(self.client.users()) as pages:
                async for members in pages:
                    yield self._users(members)
            self.account = known.model_copy(update={"users_read_at": self.run.started_at})
            yield Page(stream=ACCOUNT, cursor=self.account)
        types = "public_channel" if self.run.settings.public_only else "public_channel,private_channel"
        async with aclosing(self.client.joined_channels(types)) as pages:
            async for channels in pages:
                batch = _Batch()
                for channel in channels:
                    self._parse(
                        batch, SlackChannel, channel, lambda item: SlackChannel.from_api(self.run.account, item)
                    )
                self.listed |= {record.external_id: record.raw for record in batch.records}
                yield Page(batch.records, rejected=batch.rejected)
        self.names.channels = {key: channel["name"] for key, channel in self.listed.items() if channel.get("name")}

    def _users(self, members: Sequence[Any]) -> Page:
        batch = _Batch()
        for member in members:
            self._parse(batch, SlackUser, member, lambda item: SlackUser.from_api(self.run.account, item))
        self._remember(batch)
        return Page(batch.records, rejected=batch.rejected)

    def _remember(self, batch: _Batch) -> None:
        self.names.users |= {
            user.external_id: user.name for user in batch.records if isinstance(user, SlackUser) and user.name
        }

    async def selected(self) -> list[dict[str, Any]]:
        """Give the channels to read; the account's choice is by id or name, none means all that are joined."""
        choice = self.run.settings.channels
        if not choice:
            return list(self.listed.values())
        by_name = {channel.get("name"): channel for channel in self.listed.values()}
        channels = []
        for wanted in choice:
            channel = self.listed.get(wanted) or by_name.get(wanted.removeprefix("#"))
            if channel is None and self.run.settings.join:
                channel = await self._join(wanted)
            elif channel is None:
                self.run.skipped[wanted] = "not_in_channel"
            if channel is not None:
                channels.append(channel)
        return channels

    async def _join(self, channel_id: str) -> dict[str, Any] | None:
        try:
            await self.client.join(channel_id)
        except Unavailable as error:
            self.run.skipped[channel_id] = error.code
            return None
        return {"id": channel_id}

    async def channel(self, channel: dict[str, Any]) -> AsyncGenerator[Page]:
        """Read one channel; what Slack does not let us read is skipped and told."""
        label = channel.get("name") or channel["id"]
        archived = bool(channel.get("is_archived"))
        stored = self.run.cursors.get(channel["id"])
        cursor = ChannelCursor.model_validate(stored) if stored else None
        if cursor and cursor.archived and archived and not cursor.unread:
            return  # read to its end after it was archived
        plan = await self._plan(channel["id"], cursor)
        cursor = plan.cursor
        last: Page | None = None  # held back, so that what ends the channel commits with its last rows
        try:
            for number, step in enumerate(plan.steps):
                later = [after.range for after in plan.steps[number + 1 :]]
                async with aclosing(self._walk(channel["id"], step, plan.threads_since)) as batches:
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
            if not isinstance(error, Unavailable):
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
        history, watch = timedelta(days=self.run.options.history_days), timedelta(days=self.run.options.watch_days)
        if cursor is None:
            return first_plan(now, history, watch, limited=limited)
        rows = await self._count(channel_id, after=ts_of(now - watch))
        pages = rows / (LIMITED_OBJECTS if limited else PAGE)
        return next_plan(cursor, now, history, watch, limited=limited, stored_pages=pages)

    async def _count(self, channel_id: str, *, after: str) -> int:
        """Count what we hold of the channel itself since a ts."""
        return await self._stored(
            reads.count_stored,
            SlackMessage.table,
            self.run.account.account_id,
            {"channel_id": channel_id, "in_channel": True},
            column="ts",
            after=after,
        )

    async def _walk(
        self, channel_id: str, step: Step, threads_since: str | None
    ) -> AsyncGenerator[tuple[_Batch, Range | None]]:
        """Walk one range: batches of rows, and after each of Slack's pages what remains to be read.

        An invalid page cursor restarts the walk where it had come to.
        """
        seen: set[str] = set()
        walk = Walk(step.range)
        known = bool(await self._count(channel_id, after=step.range.oldest))
        for _ in range(RESTARTS + 1):
            begun = walk.remaining
            walk = Walk(begun)
            try:
                async with aclosing(
                    self.client.history(channel_id, oldest=begun.oldest, latest=begun.latest)
                ) as pages:
                    async for messages in pages:
                        last = None
                        async with aclosing(
                            self._page(channel_id, messages, seen, threads_since, known=known)
                        ) as batches:
                            async for batch in batches:
                                if last is not None:
                                    yield last, None
                                last = batch
                        walk.advance([ts for message in messages if (ts := _ts(message))])
                        yield last or _Batch(), walk.remaining
                break
            except CursorExpired:
                continue
        else:
            raise UnexpectedResponse(f"Slack gave up its page cursor {RESTARTS + 1} times in one range.")
        if known and (gone := await self._gone(channel_id, step.range, seen)):
            yield _Batch(gone=gone), None

    async def _gone(self, channel_id: str, read: Range, seen: set[str]) -> list[str]:
        """Find what is stored of a range that was read whole, and was not there: messages with their threads."""

        async def stored(value: str, column: str, *, in_channel: bool) -> set[str]:
            return await self._stored(
                reads.stored_values,
                SlackMessage.table,
                self.run.account.account_id,
                {"channel_id": channel_id, "in_channel": in_channel},
                value=value,
                column=column,
                after=read.oldest,
                before=read.latest,
            )

        gone = await stored("ts", "ts", in_channel=True) - seen
        ids = {SlackMessage.id_of(channel_id, ts) for ts in gone}
        for thread_ts in await stored("thread_ts", "thread_ts", in_channel=False) - seen:
            ids |= await self._replies_of(SlackMessage.id_of(channel_id, thread_ts))
        return sorted(ids)

    async def _replies_of(self, conversation_id: str) -> set[str]:
        rows = await self._stored(
            reads.rows_where,
            SlackMessage.table,
            self.run.account.account_id,
            {"conversation_id": conversation_id, "in_channel": False},
            ["external_id"],
        )
        return {row.external_id for row in rows}

    async def _page(
        self, channel_id: str, messages: list[Any], seen: set[str], threads_since: str | None, *, known: bool
    ) -> AsyncGenerator[_Batch]:
        """Give the rows of one history page, each changed thread whole."""
        batch, threads = await self._guests(messages), []
        page_seen = {ts for message in messages if (ts := _ts(message))}
        seen |= page_seen
        ledger: dict[str, Any] = {}
        if known:  # else there is nothing to compare with
            ids = [SlackMessage.id_of(channel_id, ts) for ts in page_seen]
            columns = ["reply_count", "latest_reply"]
            ledger = await self._stored(
                reads.stored, SlackMessage.table, self.run.account.account_id, ids, columns
            )
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
        async with aclosing(interleave(threads, at_once=self.run.options.concurrency)) as parts:
            async for part in parts:
                batch.add(part)
                if len(batch) >= ROWS_A_COMMIT or self.run.clock.now() - begun >= TIME_A_COMMIT:
                    yield batch
                    batch, begun = _Batch(), self.run.clock.now()
        yield batch

    async def _thread(self, parent: SlackMessage, *, known: bool, shown: set[str]) -> AsyncGenerator[_Batch]:
        """Read a thread to its end; the parent comes last, and with it the right to say that all is there."""
        present: set[str] = set()
        try:
            async with aclosing(self.client.replies(parent.channel_id, parent.ts)) as pages:
                async for messages in pages:
                    batch = await self._guests(messages)
                    for message in messages:
                        if (ts := _ts(message)) is not None:
                            present.add(SlackMessage.id_of(parent.channel_id, ts))
                        if ts in shown:  # the parent, or a broadcast: they stand in the channel's history
                            continue
                        reply = self._message(batch, parent.channel_id, message, in_channel=False)
                        if reply is not None:
                            batch.records.append(reply)
                    yield batch
        except Unavailable as error:
            self.run.skipped[parent.external_id] = error.code
            yield _Batch([parent])
            return
        gone = await self._replies_of(parent.external_id) - present if known else set()
        yield _Batch([parent], gone=sorted(gone))

    def _message(self, batch: _Batch, channel_id: str, message: Any, *, in_channel: bool) -> SlackMessage | None:
        ts = _ts(message)
        try:
            return SlackMessage.from_api(self.run.account, channel_id, message, self.names, in_channel=in_channel)
        except UNPARSEABLE as error:
            external_id = SlackMessage.id_of(channel_id, ts) if ts else None
            batch.rejected.append(rejection(SlackMessage, message, error, external_id=external_id))
            return None

    def _parse(self, batch: _Batch, record: type[Record], item: Any, parse: Callable[[Any], Record]) -> None:
        try:
            batch.records.append(parse(item))
        except UNPARSEABLE as error:
            batch.rejected.append(rejection(record, item, error, external_id=None))

    async def _guests(self, messages: Sequence[Any]) -> _Batch:
        """Look up users that the directory does not list, guests from other companies for one, once each."""
        wanted: set[str] = set()
        for message in messages:
            if isinstance(message, dict):
                wanted |= mentioned(markup_of(message) or "")
                wanted |= {author} if isinstance(author := message.get("user"), str) else set()
        wanted -= self.names.users.keys() | self._asked
        self._asked |= wanted
        batch = _Batch()
        for user_id in sorted(wanted):
            try:
                user = await self.client.user(user_id)
            except Unavailable as error:
                user = {"id": user_id, "error": error.code}  # stored too, so that nobody asks again
            self._parse(batch, SlackUser, user, lambda item: SlackUser.from_api(self.run.account, item))
        self._remember(batch)
        return batch

    async def _stored(self, read: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        def query() -> Result:
            with self.run.engine.connect() as conn:
                return read(conn, *args, **kwargs)

        return await asyncio.to_thread(query)


def _ts(message: Any) -> str | None:
    ts = message.get("ts") if isinstance(message, dict) else None
    return ts if isinstance(ts, str) else None


def _thread_changed(parent: SlackMessage, row: Any, threads_since: str | None) -> bool:
    """Compare a message's claims about its thread with the ledger."""
    if parent.thread_ts not in (None, parent.ts):
        return False  # a broadcast reply; its parent tells
    stored = (row.reply_count or 0, row.latest_reply) if row is not None else (0, None)
    claimed = (parent.reply_count or 0, parent.latest_reply)
    if claimed != stored:
        return True
    return threads_since is not None and parent.latest_reply is not None and parent.latest_reply > threads_since
