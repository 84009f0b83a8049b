"""From mail threads as Gmail answers them to pages: rows, deletions, and threads that could not be read."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.errors import PartUnreadable, SourceError
from ingest_assets.sources.gmail.body import kept_apart
from ingest_assets.sources.gmail.client import Body, GmailClient
from ingest_assets.sources.gmail.connect import GmailExtraction
from ingest_assets.sources.gmail.errors import GONE
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread, id_of, visible
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import UNPARSEABLE, rejection
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.source import DAY, Page

MAILBOX = "mailbox"  # the one stream of a mailbox
PART = "thread "
Thread = Json | SourceError | None
"""As it is answered, why it could not be read, or None for one that is gone."""
FROM_BODY = ("text", "new_text", "text_shortened")
"""Columns of a message that come from its body."""


def part_of(thread_id: str) -> str:
    """Return the name of a thread among the parts of its account."""
    return f"{PART}{thread_id}"


class Threads:
    """Reads threads of one mailbox, in any order."""

    def __init__(self, run: GmailExtraction, client: GmailClient) -> None:
        self.run, self.client = run, client
        self.include, self.exclude = set(run.settings.labels), set(run.settings.exclude_labels)
        self._parsing = asyncio.Lock()  # more threads would only wait for each other: Python runs one at a time

    async def read(
        self,
        ids: Sequence[str],
        expected: Collection[str],
        store: Callable[[Collection[str], Page], Awaitable[None]],
    ) -> None:
        """Store pages; `store` is told, too, which of the threads each is about. What cannot be read comes last.

        `expected`: of which something else says that they may be gone.
        """
        parts, progress = self.run.parts, self.run.progress
        progress.expect(len(ids), "threads", self.run.clock.now())
        async with aclosing(self.client.threads(ids, lambda one: parts.tries(part_of(one)))) as batches:
            async for threads in batches:
                believed = {one: self._believed(one, thread, expected) for one, thread in threads.items()}
                await store(threads.keys(), await self._page(believed))
                progress.advance(len(threads))

    def _believed(self, thread_id: str, thread: Thread, expected: Collection[str]) -> Thread:
        """Believe that a thread is gone if something else says so too, or if that was the answer for a day."""
        if thread is not None or thread_id in expected:
            return thread
        since = self.run.parts.since(part_of(thread_id))
        if since is not None and self.run.started_at - since >= DAY:
            return None
        return PartUnreadable("Gmail names this thread and does not find it.", code=GONE)

    async def _page(self, threads: Mapping[str, Thread]) -> Page:
        """Store what is selected of some threads; what is stored of them and no longer there is gone."""
        rows = Rows()
        left: list[str] = []
        untouched: set[str] = set()
        unreadable: list[UnreadablePart] = []
        read: list[str] = []
        answered = {one: thread for one, thread in threads.items() if isinstance(thread, dict)}
        bodies = await self._fetched(answered)
        # anybody may send large mail: requests, other accounts and the lease go on meanwhile
        async with self._parsing:
            parsed = await asyncio.to_thread(self._parsed, answered, bodies)
        for thread_id, thread in threads.items():
            error = thread if isinstance(thread, SourceError) else bodies.fault_in(thread)
            if error is None:
                read += self.run.parts.succeeded(part_of(thread_id))
            else:
                unreadable.append(await self.run.parts.failed(part_of(thread_id), part_of(thread_id), error))
            if isinstance(thread, SourceError):
                untouched.add(thread_id)
            elif thread is None:
                rows.gone.append(thread_id)
            else:
                found = parsed[thread_id]
                rows.add(found)
                if found.rejected:
                    untouched.add(thread_id)
                elif not found.records:
                    left.append(thread_id)
        kept = {record.external_id for record in rows.records if isinstance(record, GmailMessage)}
        held = await self._living(GmailThread, "external_id", rows.gone + left)
        touched = [thread_id for thread_id in threads if thread_id not in untouched]
        lost = sorted(await self._living(GmailMessage, "thread_id", touched) - kept)
        return Page(
            rows.records,
            gone=[one for one in rows.gone if one in held],  # most mail in spam never was
            left=[one for one in left if one in held],
            also_gone={GmailMessage: lost} if lost else {},
            rejected=rows.rejected,
            stream=MAILBOX,
            unreadable=unreadable,
            read=read,
        )

    async def _living(self, record: type[Record], column: str, values: Sequence[str]) -> set[str]:
        """Return the external ids of the stored rows whose `column` has one of some values."""
        rows = await self.run.existing(record).where_any(column, values, ["external_id"])
        return {row.external_id for row in rows}

    def _parsed(self, threads: Mapping[str, Json], bodies: "_Bodies") -> dict[str, Rows]:
        return {thread_id: self._thread(thread_id, thread, bodies) for thread_id, thread in threads.items()}

    def _thread(self, thread_id: str, thread: Json, bodies: "_Bodies") -> Rows:
        """Parse a thread and its mail; what is malformed of either does not keep the other from being stored."""
        rows, outline = Rows(), _outline(thread)
        try:
            messages = self._messages(rows, thread, bodies)
        except UNPARSEABLE as error:
            rows.rejected.append(rejection(GmailThread, outline, error, external_id=thread_id))
            return rows
        if messages:

            def sum_up(_outline: object) -> GmailThread:
                return GmailThread.from_messages(self.run.account, thread, messages)

            rows.parse(GmailThread, outline, sum_up, external_id=thread_id)
            rows.records += messages
        return rows

    def _messages(self, rows: Rows, thread: Json, bodies: "_Bodies") -> list[GmailMessage]:
        """Parse a thread's mail, or nothing where the labels leave the thread out."""
        id_of(thread, "id")  # else this is no thread, and that it has no messages says nothing
        shown = [message for message in thread.get("messages", ()) if visible(message)]
        labels = {label for message in shown for label in _labels(message)}
        if (self.include and self.include.isdisjoint(labels)) or not self.exclude.isdisjoint(labels):
            return []

        def parse(message: Any) -> GmailMessage:
            fetched, most = bodies.found.get(message["id"], {}), self.run.options.max_message_bytes
            made = GmailMessage.from_api(self.run.account, message, fetched, max_bytes=most)
            return bodies.with_stored(made)

        parsed = [
            rows.parsed(
                GmailMessage,
                message,
                parse,
                external_id=message.get("id") if isinstance(message, dict) else None,
            )
            for message in shown
        ]
        return [message for message in parsed if message is not None]

    async def _fetched(self, threads: Mapping[str, Json]) -> "_Bodies":
        """Get the bodies that Gmail keeps apart, by message and partId."""
        wanted: dict[Body, str] = {}
        thread_of: dict[str, str] = {}
        for thread_id, thread in threads.items():
            for message in _mail_in(thread):
                try:
                    apart = self._apart(message)
                except UNPARSEABLE:
                    continue  # it is set aside when it is parsed
                wanted |= apart
                thread_of |= {message_id: thread_id for message_id, _attachment_id in apart}
        bodies = _Bodies()
        if not wanted:
            return bodies
        parts = self.run.parts
        contents = await self.client.contents(list(wanted), lambda body: parts.tries(part_of(thread_of[body[0]])))
        for (message_id, attachment_id), data in contents.items():
            if isinstance(data, SourceError):
                bodies.missing[message_id] = data
            else:
                bodies.found.setdefault(message_id, {})[wanted[message_id, attachment_id]] = data
        if bodies.missing:
            ids, columns = list(bodies.missing), ["external_id", *FROM_BODY]
            stored = await self.run.existing(GmailMessage).where_any("external_id", ids, columns)
            bodies.stored = {row.external_id: {name: getattr(row, name) for name in FROM_BODY} for row in stored}
        return bodies

    def _apart(self, message: Json) -> dict[Body, str]:
        """Return the partIds of bodies that Gmail keeps apart. Raises TypeError where one is no text."""
        if not visible(message) or (message.get("sizeEstimate") or 0) > self.run.options.max_message_bytes:
            return {}
        found = {
            (message["id"], part["body"]["attachmentId"]): part.get("partId", "")
            for part in kept_apart(message.get("payload") or {})
        }
        if not all(isinstance(part_id, str) for part_id in found.values()):
            raise TypeError("partId")
        return found


@dataclass
class _Bodies:
    """Bodies that Gmail keeps apart."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By message and partId, as Gmail encodes them."""
    missing: dict[str, SourceError] = field(default_factory=dict)
    """By message, why one of its bodies could not be read."""
    stored: dict[str, Json] = field(default_factory=dict)
    """By message, what is stored of it that came from a body which cannot be read now."""

    def fault_in(self, thread: Json | None) -> SourceError | None:
        """Return why a body of a thread could not be read, if that is so."""
        ids = (message.get("id") for message in _mail_in(thread) if isinstance(message, dict))
        return next((self.missing[one] for one in ids if isinstance(one, str) and one in self.missing), None)

    def with_stored(self, message: GmailMessage) -> GmailMessage:
        """Put into a message what is stored of its body, where that cannot be read now."""
        held = self.stored.get(message.external_id)
        if held is None:
            return message
        fields = {name: getattr(message, name) for name in GmailMessage.model_fields}
        return GmailMessage(**(fields | held))


def _mail_in(thread: object) -> Sequence[Any]:
    messages = thread.get("messages") if isinstance(thread, dict) else None
    return messages if isinstance(messages, list) else ()


def _labels(message: object) -> Sequence[str]:
    return (message.get("labelIds") or ()) if isinstance(message, dict) else ()


def _outline(thread: object) -> Any:
    """Return what can be kept of a thread that does not parse, without repeating its messages' contents."""
    if not isinstance(thread, dict):
        return thread
    return {key: value for key, value in thread.items() if key != "messages"} | {
        "messages": thread.get("messages") if not isinstance(thread.get("messages"), list) else "see its messages"
    }
