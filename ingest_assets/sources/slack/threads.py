"""Read one thread to its end, whichever way it was noticed.

A parent's stored `reply_count` and `latest_reply` are the ledger of its thread: they are those of the last read of
it that came to its end, and commit with its last replies. A thread that is refused is a part of its own, asked
again wherever it stands.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.errors import PartUnreadable, SourceError, Transient
from ingest_assets.sources.client.retry import PATIENCE
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import Directory
from ingest_assets.sources.slack.plan import Plan
from ingest_assets.sources.slack.records import BROADCAST, TS, SlackMessage, at, ts_of
from ingest_assets.sources.slack.spoken import Spoken, spoken
from ingest_assets.storage.schema import StoredRow

LEDGER = ["reply_count", "latest_reply"]

Take = Callable[[Rows], Awaitable[None]]
"""Takes rows of a thread, on their way into a page."""


@dataclass(frozen=True)
class Reading:
    """One channel while it is read."""

    channel_id: str
    label: str
    plan: Plan
    audited: bool = False
    """What stands in the channel's history, too, is left to it, but for the parent of a thread that changed."""
    tried: set[str] = field(default_factory=set)
    """The threads that were asked for."""
    read: set[str] = field(default_factory=set)
    """Those of them that were read to their end."""
    roots: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    """What broadcasts say of threads that began before what is read now: by the parent's ts, its ledger."""


@dataclass
class _Thread:
    """One thread while it is read."""

    reading: Reading
    root_ts: str
    parent: SlackMessage | None
    shown: set[str]
    present: set[str] = field(default_factory=set)


class ThreadReader:
    """Reads the threads of one account's channels."""

    def __init__(self, run: SlackExtraction, client: SlackClient, directory: Directory) -> None:
        self.run, self.client, self.directory = run, client, directory
        self.existing = run.existing(SlackMessage)
        self.read_to_end: set[str] = set()
        """The threads of all channels that this sync has read."""

    def is_due(self, record: SlackMessage, row: StoredRow | None, reading: Reading) -> bool:
        """Tell whether a message's thread is to be read: it changed, or could not be read before."""
        if record.thread_ts not in (None, record.ts):
            return False  # a broadcast reply; its parent tells
        if self.run.parts.known(record.external_id):
            return True
        return _thread_changed(record, row, reading.plan.threads_since)

    async def read(
        self,
        reading: Reading,
        root_ts: str,
        parent: SlackMessage | None,
        row: StoredRow | None,
        *,
        shown: set[str],
        take: Take,
    ) -> None:
        """Read a thread to its end; the parent comes last, and with it the right to say that all is there.

        `parent`: None where only the thread itself shows it. `row`: the parent's ledger. `shown`: the ts that the
        channel's history has given already.
        """
        parts, limited = self.run.parts, self.client.limited
        root = SlackMessage.id_of(reading.channel_id, root_ts)
        held = await self.replies_of(root) if row is not None or limited else set()
        # a request a minute may not reach a long thread's end in one sync; where replies went, from its front
        resumed = bool(held) and limited and parent is not None and len(held) <= (parent.reply_count or 0)
        after = max(held).partition(":")[2] if resumed else None
        asked = self.client.replies(reading.channel_id, root_ts, after=after, tries=parts.tries(root))
        thread = _Thread(reading, root_ts, parent, shown)
        try:
            async for messages in asked:
                await take(await self._rows(thread, messages))
            if thread.parent is None:
                raise PartUnreadable("Slack shows a thread without its first message.", code="no_parent")
        except SourceError as error:
            name = f"thread of {at(root_ts):%Y-%m-%d %H:%M} UTC in {reading.label}"
            refused = Rows([] if parent is None else [parent.as_of(row)])
            refused.unreadable.append(await parts.failed(root, name, error))
            await take(refused)
            return
        reading.read.add(root)
        self.read_to_end.add(root)
        gone = [] if resumed else sorted(held - thread.present)
        as_it_was = reading.audited and _claims(thread.parent) == _claims(row)
        await take(Rows([] if as_it_was else [thread.parent], gone=gone, read=parts.succeeded(root)))

    async def _rows(self, thread: "_Thread", messages: list[Any]) -> Rows:
        """Make the rows of one page of a thread; its parent is kept for the end."""
        heard = spoken(messages)
        rows, channel_id = await self.directory.guests(heard), thread.reading.channel_id
        for one in heard:
            if one.ts is not None:
                thread.present.add(SlackMessage.id_of(channel_id, one.ts))
            if one.ts == thread.root_ts:
                thread.parent = thread.parent or self.message(rows, channel_id, one, in_channel=True)
            elif one.ts not in thread.shown:  # else it stands in the channel's history
                reply = self.message(rows, channel_id, one, in_channel=False)
                if reply is not None and not (thread.reading.audited and reply.subtype == BROADCAST):
                    rows.records.append(reply)
        return rows

    async def others(self, reading: Reading, take: Take) -> None:
        """Read threads that no walk meets: those that broadcasts tell of, and those that were refused before."""
        channel_id = reading.channel_id
        roots = {SlackMessage.id_of(channel_id, ts): claimed for ts, claimed in reading.roots.items()}
        again = [part for part in self.run.parts.waiting(f"{channel_id}:") if part not in roots]
        if (since := self.run.kept_since) is not None:
            oldest = f"{channel_id}:{ts_of(since)}"
            if dropped := [part for part in again if part < oldest]:
                await take(Rows(read=[one for part in dropped for one in self.run.parts.succeeded(part)]))
            again = [part for part in again if part >= oldest]
            roots = {root: claimed for root, claimed in roots.items() if root >= oldest}
        if not roots and not again:
            return
        ledger = await self.existing.by_id([*roots, *again], LEDGER)
        if self.run.settings.last_hours is not None:  # then only older threads that are stored are wanted
            roots = {root: claimed for root, claimed in roots.items() if root in ledger}
        known = self.run.parts.known
        changed = [root for root, told in roots.items() if told != _claims(ledger.get(root)) or known(root)]
        for root in [*changed, *again]:
            if root not in reading.tried and self.run.parts.due(root):
                reading.tried.add(root)
                ts = root.partition(":")[2]
                await self.read(reading, ts, None, ledger.get(root), shown=set(), take=take)

    def message(self, rows: Rows, channel_id: str, heard: Spoken, *, in_channel: bool) -> SlackMessage | None:
        message, ts, said = heard

        def parse(item: Any) -> SlackMessage:
            account, names = self.run.account, self.directory.names
            return SlackMessage.from_api(account, channel_id, item, names, in_channel=in_channel, said=said)

        external_id = SlackMessage.id_of(channel_id, ts) if ts else None
        return rows.parsed(SlackMessage, message, parse, external_id=external_id)

    async def replies_of(self, conversation_id: str) -> set[str]:
        rows = await self.existing.where(["external_id"], conversation_id=conversation_id, in_channel=False)
        return {row.external_id for row in rows}


def is_long_pause(error: SourceError) -> bool:
    """Tell whether Slack asks for a pause that is too long for this sync."""
    return isinstance(error, Transient) and error.retry_after is not None and error.retry_after > PATIENCE


def note_root(reading: Reading, record: SlackMessage) -> None:
    """Take note of what a broadcast says of its thread, where no walk meets the thread's parent."""
    root, begun = record.raw.get("root"), record.thread_ts
    if record.subtype != BROADCAST or not isinstance(root, dict) or begun is None or not TS.fullmatch(begun):
        return
    walked = any(step.range.oldest <= begun <= step.range.latest for step in reading.plan.steps)
    count, latest = root.get("reply_count"), root.get("latest_reply")
    if not walked and isinstance(count, int) and isinstance(latest, str):
        reading.roots[begun] = (count, latest)


def _claims(row: StoredRow | SlackMessage | None) -> tuple[int, str | None]:
    return (row.reply_count or 0, row.latest_reply) if row is not None else (0, None)


def _thread_changed(parent: SlackMessage, row: StoredRow | None, threads_since: str | None) -> bool:
    """Compare a message's claims about its thread with the ledger."""
    if _claims(parent) != _claims(row):
        return True
    return threads_since is not None and parent.latest_reply is not None and parent.latest_reply > threads_since
