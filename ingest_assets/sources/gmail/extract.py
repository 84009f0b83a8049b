"""Read one mailbox: everything once, then what its history says has changed."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    UnexpectedResponse,
)
from ingest_assets.sources.batch import Batch, stored
from ingest_assets.sources.gmail.body import kept_apart
from ingest_assets.sources.gmail.client import Body, GmailClient
from ingest_assets.sources.gmail.errors import GONE
from ingest_assets.sources.gmail.history import Changes, history_id_of
from ingest_assets.sources.gmail.listing import Listing
from ingest_assets.sources.gmail.records import HIDDEN, GmailMessage, GmailThread, id_of, visible
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import UNPARSEABLE, rejection
from ingest_assets.sources.source import DAY, Extraction, Page
from ingest_assets.storage import reads

MAILBOX = "mailbox"
PART = "thread "
Thread = dict[str, Any] | SourceError | None
"""As it is answered, why it could not be read, or None for one that is gone."""
FROM_BODY = ("text", "new_text", "text_shortened")
"""Columns of a message that come from its body."""
LISTINGS = 3  # tries, where page tokens die
NOT_MAIL = "-in:chats -in:spam -in:trash -in:drafts"
"""None of this is ever stored (see `visible`): not to find it saves its fetch, and its place among the newest.
A search is about messages: a thread with mail and a draft is found for its mail."""


class MailboxCursor(BaseModel):
    """What we hold: all since `covered_from`, as of `history_id`, for one selection of labels."""

    history_id: str
    covered_from: datetime
    selection: list[str]
    label_names: dict[str, str] = Field(default_factory=dict)
    """Of the selected labels, by id: a label that was deleted can no longer be asked for its name."""


async def extract(run: Extraction) -> AsyncGenerator[Page]:
    """Yield the mailbox's pages."""
    async with GmailClient.open(run) as client, aclosing(_Mailbox(run, client).read()) as pages:
        run.parts.login = client.profile
        async for page in pages:
            yield page


class _Mailbox:
    """One mailbox and what we hold of it."""

    def __init__(self, run: Extraction, client: GmailClient) -> None:
        self.run, self.client = run, client
        self.include, self.exclude = set(run.settings.labels), set(run.settings.exclude_labels)
        self.selection = [*sorted(self.include), *(f"-{label}" for label in sorted(self.exclude))]
        position = run.cursors.get(MAILBOX)
        self.cursor = None if position is None else MailboxCursor.model_validate(position)
        history = run.settings.at_most(timedelta(days=run.options.history_days))
        self.wanted_from = run.started_at - history

    async def read(self) -> AsyncGenerator[Page]:
        cursor = self.cursor
        if cursor is not None and cursor.selection == self.selection and self.wanted_from >= cursor.covered_from:
            try:
                async with aclosing(self._changes(cursor)) as pages:
                    async for page in pages:
                        yield page
                return
            except CursorExpired:
                pass  # everything is compared anew, below, once
        since = self.wanted_from
        if cursor is not None:
            since = min(since, cursor.covered_from)
        async with aclosing(self._everything(since)) as pages:
            async for page in pages:
                yield page

    async def _changes(self, cursor: MailboxCursor) -> AsyncGenerator[Page]:
        """Read the threads that the history names, and move on with each batch, in the end to where it ends."""
        changes = Changes(cursor.history_id)
        newest: str | None = None  # as of the first page: what happens while we page is read again
        async with aclosing(self.client.history(cursor.history_id)) as answers:
            async for answer in answers:
                newest = newest or history_id_of(answer.get("historyId"))
                for entry in answer["history"]:
                    changes.add(entry)
        if not changes.labels_removed.isdisjoint(self.include | self.exclude):
            await self._label_names()
        if changes.rejected:
            yield Page(rejected=changes.rejected, stream=MAILBOX)
        named = await self._telling(changes)
        waiting = dict.fromkeys(one for one in named if one in changes.shrunk or self._due(one))
        wanted = self._and_unreadable(waiting)
        async with aclosing(self._threads(wanted, changes.shrunk)) as pages:
            async for threads, page in pages:
                waiting = {thread_id: None for thread_id in waiting if thread_id not in threads}
                if waiting:
                    position = {"history_id": changes.before[next(iter(waiting))]}
                    page = replace(page, cursor=cursor.model_copy(update=position))
                yield page
        yield Page(stream=MAILBOX, cursor=cursor.model_copy(update={"history_id": newest or changes.reached}))

    async def _telling(self, changes: Changes) -> list[str]:
        """Leave out threads that we do not hold and of which only labels changed that decide nothing.

        Old mail that is marked as read would be read otherwise, all of it. Where something was set aside, a change
        of anything may make it readable.
        """
        if await stored(self.run, reads.any_rejected, self.run.account.account_id):
            return list(changes.before)
        deciding = self.include | self.exclude | HIDDEN
        idle = [one for one, labels in changes.relabelled().items() if deciding.isdisjoint(labels)]
        unknown = set(idle) - set(await self._living(GmailThread, "external_id", idle))
        return [one for one in changes.before if one not in unknown]

    async def _everything(self, since: datetime) -> AsyncGenerator[Page]:
        """List all threads since a moment, read those that changed, and look for those that are gone.

        The history is pinned before the listing: what happens meanwhile is read again by the next sync.
        """
        label_names = await self._label_names()
        pinned = history_id_of((await self.client.profile()).get("historyId"))
        if pinned is None:
            raise UnexpectedResponse("Gmail's profile has no historyId.")
        listing = await self._listed(since)
        if listing.rejected:
            yield Page(rejected=listing.rejected, stream=MAILBOX)
        listed = listing.threads
        held = await self._held(since)
        stale = [thread_id for thread_id, history_id in listed.items() if held.get(thread_id, "") != history_id]
        absent = [thread_id for thread_id in held if thread_id not in listed]
        wanted = self._and_unreadable([*filter(self._due, stale), *absent])
        unlisted = {thread_id for thread_id in wanted if thread_id not in listed}
        async with aclosing(self._threads(wanted, unlisted)) as pages:
            async for _threads, page in pages:
                yield page
        cursor = MailboxCursor(
            history_id=pinned, covered_from=since, selection=self.selection, label_names=label_names
        )
        yield Page(stream=MAILBOX, cursor=cursor)

    async def _label_names(self) -> dict[str, str]:
        """Name the selected labels by id. Raises CredentialRejected where one was deleted in Gmail.

        Reading on would find no mail of a deleted label, or mail that it was to keep out.
        """
        if not self.selection:
            return {}
        names = await self.client.labels()
        before = {} if self.cursor is None else self.cursor.label_names
        for option, chosen in (("--labels", self.include), ("--exclude-labels", self.exclude)):
            if gone := sorted(before.get(label, label) for label in chosen - names.keys()):
                raise CredentialRejected(
                    f"The mailbox {self.run.account.name} no longer has the label {', '.join(map(repr, gone))}, "
                    "which was deleted in Gmail. Connect it again with `ingest-assets connect gmail`, with "
                    f"{option} that it has."
                )
        return {label: names[label] for label in self.include | self.exclude}

    async def _listed(self, since: datetime) -> Listing:
        query = f"after:{int(since.timestamp())} {NOT_MAIL}"
        for _attempt in range(LISTINGS):
            listing = Listing()
            try:
                await listing.read(self.client, query, self.run.settings)
            except CursorExpired:
                continue
            except UnexpectedResponse:
                await self._label_names()  # was one deleted this moment?
                raise
            return listing
        raise UnexpectedResponse("Gmail lost the page token of a listing three times.")

    async def _held(self, since: datetime) -> dict[str, str | None]:
        rows = await self._stored(
            reads.rows_since, GmailThread.table, "occurred_at", since, ["external_id", "history_id"]
        )
        return {row.external_id: row.history_id for row in rows}

    def _due(self, thread_id: str) -> bool:
        """Tell whether a thread may be asked for now: one that could not be read before is noted, and waits."""
        return self.run.parts.due(part_of(thread_id))

    def _and_unreadable(self, ids: Iterable[str]) -> list[str]:
        """Add the threads that could not be read before, and that nothing else may ever name."""
        again = (part.removeprefix(PART) for part in self.run.parts.waiting(PART))
        return list(dict.fromkeys([*ids, *again]))

    async def _threads(
        self, ids: Sequence[str], expected: Collection[str]
    ) -> AsyncGenerator[tuple[Collection[str], Page]]:
        """Yield pages, and which of the threads each is about; those that cannot be read come last.

        `expected`: of which something else says that they may be gone.
        """
        parts = self.run.parts
        async with aclosing(self.client.threads(ids, lambda one: parts.tries(part_of(one)))) as batches:
            async for threads in batches:
                yield (
                    threads.keys(),
                    await self._page(
                        {one: self._believed(one, thread, expected) for one, thread in threads.items()}
                    ),
                )

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
        batch = Batch()
        left: list[str] = []
        untouched: set[str] = set()
        unreadable: list[UnreadablePart] = []
        read: list[str] = []
        answered = {one: thread for one, thread in threads.items() if isinstance(thread, dict)}
        bodies = await self._fetched(answered)
        # anybody may send large mail: requests, other accounts and the lease go on meanwhile
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
                batch.gone.append(thread_id)
            else:
                rows = parsed[thread_id]
                batch.add(rows)
                if rows.rejected:
                    untouched.add(thread_id)
                elif not rows.records:
                    left.append(thread_id)
        kept = {record.external_id for record in batch.records if isinstance(record, GmailMessage)}
        living = set(await self._living(GmailThread, "external_id", batch.gone + left))
        touched = [thread_id for thread_id in threads if thread_id not in untouched]
        lost = [one for one in await self._living(GmailMessage, "thread_id", touched) if one not in kept]
        return Page(
            batch.records,
            gone=[one for one in batch.gone if one in living],  # most mail in spam never was
            left=[one for one in left if one in living],
            also_gone={GmailMessage: lost} if lost else {},
            rejected=batch.rejected,
            stream=MAILBOX,
            unreadable=unreadable,
            read=read,
        )

    def _parsed(self, threads: Mapping[str, dict[str, Any]], bodies: "_Bodies") -> dict[str, Batch]:
        return {thread_id: self._thread(thread_id, thread, bodies) for thread_id, thread in threads.items()}

    def _thread(self, thread_id: str, thread: dict[str, Any], bodies: "_Bodies") -> Batch:
        """Parse a thread and its mail; what is malformed of either does not keep the other from being stored."""
        batch, outline = Batch(), _outline(thread)
        try:
            messages = self._messages(batch, thread, bodies)
        except UNPARSEABLE as error:
            batch.rejected.append(rejection(GmailThread, outline, error, external_id=thread_id))
            return batch
        if messages:

            def sum_up(_outline: Any) -> GmailThread:
                return GmailThread.from_messages(self.run.account, thread, messages)

            batch.parse(GmailThread, outline, sum_up, external_id=thread_id)
            batch.records += messages
        return batch

    async def _living(self, record: type[Record], column: str, values: Sequence[str]) -> list[str]:
        if not values:
            return []
        rows = await self._stored(reads.rows_in, record.table, column, values, ["external_id"])
        return [row.external_id for row in rows]

    def _messages(self, batch: Batch, thread: dict[str, Any], bodies: "_Bodies") -> list[GmailMessage]:
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
            batch.parsed(
                GmailMessage,
                message,
                parse,
                external_id=message.get("id") if isinstance(message, dict) else None,
            )
            for message in shown
        ]
        return [message for message in parsed if message is not None]

    async def _fetched(self, threads: Mapping[str, dict[str, Any]]) -> "_Bodies":
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
            rows = await self._stored(reads.rows_in, GmailMessage.table, "external_id", ids, columns)
            bodies.stored = {row.external_id: {name: getattr(row, name) for name in FROM_BODY} for row in rows}
        return bodies

    def _apart(self, message: dict[str, Any]) -> dict[tuple[str, str], str]:
        if not visible(message) or (message.get("sizeEstimate") or 0) > self.run.options.max_message_bytes:
            return {}
        return {
            (message["id"], part["body"]["attachmentId"]): part.get("partId", "")
            for part in kept_apart(message.get("payload") or {})
        }

    async def _stored(self, read: Any, table: Any, *arguments: Any) -> Any:
        return await stored(self.run, read, table, self.run.account.account_id, *arguments)


@dataclass
class _Bodies:
    """Bodies that Gmail keeps apart."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By message and partId, as Gmail encodes them."""
    missing: dict[str, SourceError] = field(default_factory=dict)
    """By message, why one of its bodies could not be read."""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By message, what is stored of it that came from a body which cannot be read now."""

    def fault_in(self, thread: dict[str, Any] | None) -> SourceError | None:
        """Return why a body of a thread could not be read, if that is so."""
        ids = (message.get("id") for message in _mail_in(thread) if isinstance(message, dict))
        return next((self.missing[one] for one in ids if isinstance(one, str) and one in self.missing), None)

    def with_stored(self, message: GmailMessage) -> GmailMessage:
        """Give a message what is stored of its body, where that cannot be read now."""
        held = self.stored.get(message.external_id)
        if held is None:
            return message
        fields = {name: getattr(message, name) for name in GmailMessage.model_fields}
        return GmailMessage(**(fields | held))


def part_of(thread_id: str) -> str:
    """Return the name of a thread among the parts of its account."""
    return f"{PART}{thread_id}"


def _mail_in(thread: Any) -> Sequence[Any]:
    messages = thread.get("messages") if isinstance(thread, dict) else None
    return messages if isinstance(messages, list) else ()


def _labels(message: Any) -> Sequence[str]:
    return (message.get("labelIds") or ()) if isinstance(message, dict) else ()


def _outline(thread: Any) -> Any:
    """What can be kept of a thread that does not parse, without repeating its messages' contents."""
    if not isinstance(thread, dict):
        return thread
    return {key: value for key, value in thread.items() if key != "messages"} | {
        "messages": thread.get("messages") if not isinstance(thread.get("messages"), list) else "see its messages"
    }
