"""Read one mailbox: the newest of it once, then what its history says has changed, and older mail by windows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from pydantic import BaseModel, Field

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    UnexpectedResponse,
)
from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailExtraction
from ingest_assets.sources.gmail.history import Changes, history_id_of
from ingest_assets.sources.gmail.listing import Listing
from ingest_assets.sources.gmail.records import HIDDEN, GmailThread
from ingest_assets.sources.gmail.threads import MAILBOX, PART, Threads, part_of
from ingest_assets.sources.source import Page, Store
from ingest_assets.sources.time_window_plan import LEAST, LONGEST, Window, windows

LISTINGS = 3  # tries, where page tokens die
NOT_MAIL = "-in:chats -in:spam -in:trash -in:drafts"
"""None of this is ever stored (see `visible`): not to find it saves its fetch, and its place among the newest.
A search is about messages: a thread with mail and a draft is found for its mail."""


SETTLED = timedelta(minutes=2)
"""After so long a change is listed; reports tell of seconds in which a mailbox is ahead of its listings."""
RECENT = timedelta(hours=1)
"""How old mail may be that is not listed yet; its date is that of its arrival, by Google's clock."""


class MailboxCursor(BaseModel):
    """What we hold: all since `covered_from` but the unread windows, as of `history_id`, for some labels."""

    history_id: str
    """Of the last change that was listed: what comes after it is read next."""
    ahead: str | None = None
    """Where the mailbox itself stood at `ahead_at`: what lies between may have been there, and not yet listed."""
    ahead_at: datetime | None = None
    list_again: datetime | None = None
    """The moment of a listing of all mail whose newest threads are listed once more when it has settled."""
    covered_from: datetime
    selection: list[str]
    label_names: dict[str, str] = Field(default_factory=dict)
    """Of the selected labels, by id: a label that was deleted can no longer be asked for its name."""
    unread: list[Window] = Field(default_factory=list)
    """Oldest first."""

    def listed_to(self, history_id: str, mailbox: str | None, now: datetime) -> "MailboxCursor":
        """Return the cursor once the history was listed to its end, while the mailbox itself stands further."""
        ahead, ahead_at = self.ahead, self.ahead_at
        if ahead is not None and ahead_at is not None and now - ahead_at >= SETTLED:
            history_id, ahead = max(history_id, ahead, key=int), None
        if ahead is None:
            ahead, ahead_at = mailbox, now
        return self.model_copy(update={"history_id": history_id, "ahead": ahead, "ahead_at": ahead_at})


async def extract(run: GmailExtraction, store: Store) -> None:
    """Store the mailbox's pages."""
    async with GmailClient.open(run) as client:
        run.parts.login = client.profile
        await _Mailbox(run, client, store).read()


def query_of(since: datetime, until: datetime | None) -> str:
    """Return the search for the mail of a window, by seconds that hold at least all of it."""
    before = "" if until is None else f"before:{ceil(until.timestamp()) + 1} "
    return f"after:{int(since.timestamp())} {before}{NOT_MAIL}"


def reaching(cursor: MailboxCursor, since: datetime) -> MailboxCursor:
    """Return the cursor where it is to reach back to a moment: what it did not cover is still to be read."""
    more = windows(since, cursor.covered_from)
    if not more:
        return cursor
    return cursor.model_copy(update={"covered_from": since, "unread": [*more, *cursor.unread]})


def newest_from(since: datetime, now: datetime) -> datetime:
    """Return where the newest window of a history begins."""
    return since if now - since <= LONGEST + LEAST else now - LONGEST


def cut(window: Window, moment: datetime | None) -> Sequence[Window]:
    """Return a window, in two where a moment lies within."""
    if moment is None or not window.since < moment < window.until:
        return [window]
    return window.cut(moment)


class _Mailbox:
    """One mailbox and what we hold of it."""

    def __init__(self, run: GmailExtraction, client: GmailClient, store: Store) -> None:
        self.run, self.client, self.store, self.threads = run, client, store, Threads(run, client)
        self.existing = run.existing(GmailThread)
        self.include, self.exclude = set(run.settings.labels), set(run.settings.exclude_labels)
        self.selection = [*sorted(self.include), *(f"-{label}" for label in sorted(self.exclude))]
        position = run.cursors.get(MAILBOX)
        self.cursor = None if position is None else MailboxCursor.model_validate(position)
        self.wanted_from = run.started_at - run.history
        self.whole = run.settings.newest_threads is not None
        """Whether all is listed at once: the newest of each window would be too many."""

    async def read(self) -> None:
        cursor, wanted = self.cursor, self.wanted_from
        more = cursor is not None and wanted < cursor.covered_from
        if cursor is None or cursor.selection != self.selection or (more and self.whole):
            await self._everything(wanted if cursor is None else min(wanted, cursor.covered_from))
        else:
            try:
                await self._changes(reaching(cursor, wanted))
                await self._recent()
            except CursorExpired:  # everything is compared anew, once
                await self._everything(min(wanted, cursor.covered_from))
        await self._unread()

    async def _changes(self, cursor: MailboxCursor) -> None:
        """Read the threads that the history names, and move on with each batch, in the end to where it ends."""
        changes = Changes(cursor.history_id)
        mailbox: str | None = None  # as of the first page: what happens while we page is read again
        async for answer in self.client.history(cursor.history_id):
            mailbox = mailbox or history_id_of(answer.get("historyId"))
            for entry in answer["history"]:
                changes.add(entry)
        if not changes.labels_removed.isdisjoint(self.include | self.exclude):
            await self._label_names()
        if changes.rejected:
            await self.store(Page(rejected=changes.rejected, stream=MAILBOX))
        named = await self._telling(changes)
        waiting = dict.fromkeys(one for one in named if one in changes.shrunk or self._due(one))

        async def store(threads: Collection[str], page: Page) -> None:
            nonlocal waiting
            waiting = {thread_id: None for thread_id in waiting if thread_id not in threads}
            if waiting:
                position = {"history_id": changes.before[next(iter(waiting))]}
                page = replace(page, cursor=cursor.model_copy(update=position))
            await self.store(page)

        await self.threads.read(self._and_unreadable(waiting), changes.shrunk, store)
        await self._store_cursor(cursor.listed_to(changes.reached, mailbox, self.run.started_at))

    async def _telling(self, changes: Changes) -> list[str]:
        """Leave out threads that we do not hold and of which only labels changed that decide nothing.

        Old mail that is marked as read would be read otherwise, all of it. Where something was set aside, a change
        of anything may make it readable.
        """
        if await self.existing.any_rejected():
            return list(changes.before)
        deciding = self.include | self.exclude | HIDDEN
        idle = [one for one, labels in changes.relabelled().items() if deciding.isdisjoint(labels)]
        known = await self.existing.where_any("external_id", idle, ["external_id"])
        unknown = set(idle) - {row.external_id for row in known}
        return [one for one in changes.before if one not in unknown]

    async def _store_cursor(self, cursor: MailboxCursor) -> None:
        self.cursor = cursor
        await self.store(Page(stream=MAILBOX, cursor=cursor))

    async def _everything(self, since: datetime) -> None:
        """Read the newest window; what is older is unread from then on, and read after it.

        The history is pinned before the listing: what happens meanwhile is read again by the next sync.
        """
        label_names = await self._label_names()
        pinned = history_id_of((await self.client.profile()).get("historyId"))
        if pinned is None:
            raise UnexpectedResponse("Gmail's profile has no historyId.")
        newest = since if self.whole else newest_from(since, self.run.started_at)
        listing = await self._window(newest, None)
        cursor = MailboxCursor(
            history_id=pinned,
            list_again=self.run.started_at if listing.last_change() < int(pinned) else None,
            covered_from=newest,
            selection=self.selection,
            label_names=label_names,
        )
        await self._store_cursor(reaching(cursor, since))

    async def _recent(self) -> None:
        """List the newest threads once more where the mailbox was ahead of them as all was listed.

        What was there by then and not yet listed is named by no change that comes after it.
        """
        cursor, now = self.cursor, self.run.started_at
        if cursor is None or cursor.list_again is None or now - cursor.list_again < SETTLED:
            return
        await self._window(max(cursor.list_again - RECENT, cursor.covered_from), None)
        await self._store_cursor(cursor.model_copy(update={"list_again": None}))

    async def _unread(self) -> None:
        """Read the unread windows, newest first, those that lie before `history_until`."""
        until = self.run.history_until
        while self.cursor is not None and self.cursor.unread:
            pieces = [piece for one in self.cursor.unread for piece in cut(one, until)]
            wanted = [piece for piece in pieces if until is None or piece.until <= until]
            if not wanted:
                return
            await self._window(wanted[-1].since, wanted[-1].until)
            pieces.remove(wanted[-1])
            await self._store_cursor(self.cursor.model_copy(update={"unread": pieces}))

    async def _window(self, since: datetime, until: datetime | None) -> Listing:
        """List the threads of a window, read those that changed, and look for those that are gone."""
        listing = await self._listed(since, until)
        self.run.left_out.update(+listing.left_out)
        if listing.rejected:
            await self.store(Page(rejected=listing.rejected, stream=MAILBOX))
        listed = listing.threads
        rows = await self.existing.where_any("external_id", list(listed), ["external_id", "history_id"])
        held = {row.external_id: row.history_id for row in rows}  # those that end later, too
        missed = self.run.missed
        stale = [
            thread_id
            for thread_id, history_id in listed.items()
            if thread_id not in held or held[thread_id] != history_id or thread_id in missed
        ]
        absent = await self.existing.ids_between("occurred_at", since, until) - listed.keys() - self.run.kept
        wanted = self._and_unreadable([*filter(self._due, stale), *sorted(absent)])
        unlisted = {thread_id for thread_id in wanted if thread_id not in listed}

        async def store(_threads: Collection[str], page: Page) -> None:
            await self.store(page)

        await self.threads.read(wanted, unlisted, store)
        return listing

    async def _label_names(self) -> dict[str, str]:
        """Return the selected labels by id. Raises CredentialRejected where one was deleted in Gmail.

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

    async def _listed(self, since: datetime, until: datetime | None) -> Listing:
        query = query_of(since, until)
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

    def _due(self, thread_id: str) -> bool:
        """Tell whether a thread may be asked for now: one that could not be read before is noted, and waits."""
        return self.run.parts.due(part_of(thread_id))

    def _and_unreadable(self, ids: Iterable[str]) -> list[str]:
        """Add the threads that could not be read before, and that nothing else may ever name."""
        again = (part.removeprefix(PART) for part in self.run.parts.waiting(PART))
        return list(dict.fromkeys([*ids, *again]))
