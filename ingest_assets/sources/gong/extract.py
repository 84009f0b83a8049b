"""Read one Gong account: the names its calls need, and the calls."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel

from ingest_assets.errors import SourceError, Transient
from ingest_assets.sources.client.halving import Halving
from ingest_assets.sources.concurrency import few
from ingest_assets.sources.gong.client import IDS_A_REQUEST, GongClient
from ingest_assets.sources.gong.connect import GongCredential, GongExtraction, GongOptions, GongSettings
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace, hash_of, moment_of
from ingest_assets.sources.json_values import Json, JsonView, flag_of, mapping_of
from ingest_assets.sources.parts import Parts
from ingest_assets.sources.rejected import UNPARSEABLE, rejection
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.source import Page, Store
from ingest_assets.sources.time_window_plan import Window
from ingest_assets.sources.time_windows import ROOM, Listed, WindowReader
from ingest_assets.sources.times import BEGINNING
from ingest_assets.sources.transcript_state import READY
from ingest_assets.sources.values import UnusableValue, checked_id
from ingest_assets.storage.schema import StoredRow

Answer = TypeVar("Answer")

DIRECTORY = "directory"
USERS, WORKSPACES = "users", "workspaces"
NAMES: dict[str, type[GongUser] | type[GongWorkspace]] = {USERS: GongUser, WORKSPACES: GongWorkspace}
NAMES_RHYTHM = timedelta(days=1)
PROBED = timedelta(hours=1)  # which calls are asked for to find out whether the login works
CALL = "call"  # what can be unreadable
CALLS_A_WINDOW = 1000  # 20 requests with transcripts: far within the hour that a page cursor lives


class DirectoryCursor(BaseModel):
    """When each list of names was asked for."""

    asked_at: dict[str, datetime] = {}

    def due(self, now: datetime, parts: Parts) -> str | None:
        """Return the list that waits longest: read daily, or again once it is due where it could not be read."""
        waiting = [name for name in NAMES if (parts.due(name) if parts.known(name) else self._old(name, now))]
        return min(waiting, key=lambda name: self.asked_at.get(name, BEGINNING), default=None)

    def _old(self, name: str, now: datetime) -> bool:
        return not timedelta(0) <= now - self.asked_at.get(name, BEGINNING) < NAMES_RHYTHM

    def after(self, name: str, now: datetime) -> "DirectoryCursor":
        return DirectoryCursor(asked_at=self.asked_at | {name: now})


async def extract(run: GongExtraction, store: Store) -> None:
    """Store the account's pages."""
    async with GongClient.open(run, affordable_at=run.affordable_at) as client:
        run.parts.login = partial(client.listable, run.started_at - PROBED, run.started_at)
        await few([partial(_directory, run, client, store), Calls(run, client, store).read], at_once=2)


async def _directory(run: GongExtraction, client: GongClient, store: Store) -> None:
    """Learn the names, one list a sync."""
    cursor = DirectoryCursor.model_validate(run.cursors.get(DIRECTORY, {}))
    if (name := cursor.due(run.started_at, run.parts)) is None:
        return
    cursor = cursor.after(name, run.started_at)
    ask = client.users if name == USERS else client.workspaces
    try:
        async for items in ask(tries=run.parts.tries(name)):
            await store(_parsed(run, NAMES[name], items))
    except SourceError as error:
        if isinstance(error, Transient):  # an outage is the account's
            await client.listable(run.started_at - PROBED, run.started_at)
        refused = await run.parts.failed(name, name, error)
        await store(Page(unreadable=[refused], stream=DIRECTORY, cursor=cursor))
    else:
        await store(Page(read=run.parts.succeeded(name), stream=DIRECTORY, cursor=cursor))


def _parsed(run: GongExtraction, record: type[GongUser] | type[GongWorkspace], items: Sequence[object]) -> Page:
    rows = Rows()
    for item in items:
        rows.parse(record, item, partial(record.from_api, run.account))
    return Page(rows.records, rejected=rows.rejected)


class Calls(WindowReader[GongCredential, GongSettings, GongOptions]):
    """The calls of one account."""

    record: ClassVar = GongCall
    stream: ClassVar = "calls"
    look_back: ClassVar = timedelta(days=1)  # a call is listed once Gong has processed it
    moment: ClassVar = "occurred_at"

    kinds: ClassVar = (CALL,)

    def __init__(self, run: GongExtraction, client: GongClient, store: Store) -> None:
        super().__init__(
            run,
            store,
            client.vendor_clock,
            newest=run.settings.newest_calls,
        )
        self.client = client
        self._halving = Halving()

    def called(self, part: str) -> str:
        return f"call {part.partition(':')[2]}"

    def history_waits(self) -> datetime | None:
        """Live reading keeps the rest of the day's requests."""
        return self.run.affordable_at(self.run.options.backfill_share * self.run.options.calls_per_day)

    async def listing(self, window: Window) -> AsyncGenerator[Listed]:
        async for page in self.client.calls(window.since, window.until):
            yield Listed(page.calls, pieces_of(page.total))

    def listed_at(self, item: object) -> datetime | None:
        try:
            return moment_of(_facts(item))
        except UNPARSEABLE:
            return None

    async def exists(self, external_id: str, *, tries: int) -> bool:
        return await self.client.exists(external_id, tries=tries)

    async def again(self, rows: Sequence[StoredRow]) -> None:
        for group in _hundreds([row.external_id for row in rows]):
            answers, unread = await self._each(group, self.client.calls_by_id)
            self.listed = set()
            await self.store(await self.page([call for answer in answers for call in answer], deep=True))
            if gone := await self.gone(sorted(set(group) - unread - self.listed)):
                await self.store(Page(gone=gone))

    async def page(self, items: Sequence[Any], *, deep: bool) -> Page:
        """Ask for the transcripts of those calls that we do not hold as they are."""
        rows, calls = Rows(), {}
        for item in items:
            try:
                calls[checked_id(_facts(item).get("id"), "metaData.id")] = item
            except UnusableValue as error:
                rows.rejected.append(rejection(GongCall, item, error))
        self.listed.update(calls)
        columns = ("details_hash", "transcript_state", "first_seen_at", "deleted_at")
        known = await self.existing.by_id(list(calls), columns)
        private = set() if self.run.settings.include_private else {i for i, c in calls.items() if _private(c)}
        if private:
            self.run.left_out["private"] += len(private)
        wanted = [
            call_id
            for call_id, call in calls.items()
            if call_id not in private and (deep or not _held(known.get(call_id), call))
        ]
        transcripts = await self._transcripts(wanted)
        for call_id in wanted:
            parse = partial(self._record, transcript=transcripts.get(call_id), row=known.get(call_id))
            rows.parse(GongCall, calls[call_id], parse, external_id=call_id)
        left = [call_id for call_id in private if call_id in known and known[call_id].deleted_at is None]
        return Page(rows.records, left=left, rejected=rows.rejected)

    async def _transcripts(self, ids: Sequence[str]) -> Json:
        """Fetch transcripts; one that is refused stays as we hold it, as that does not tell that it is gone."""
        transcripts: Json = {}
        for group in _hundreds(ids):
            answers, unread = await self._each(group, self.client.transcripts)
            for call_id in set(group) - unread:
                self.part_read(_part(call_id))
            for answer in answers:
                transcripts |= answer
            if unread:
                held = await self.existing.by_id(sorted(unread), ["raw"])
                transcripts |= {call_id: row.raw.get("transcript") for call_id, row in held.items()}
        return transcripts

    async def _each(
        self, ids: Sequence[str], request: Callable[[Sequence[str], int], Awaitable[Answer]]
    ) -> tuple[list[Answer], set[str]]:
        """Ask for up to 100 calls, those that were refused before apart, as they would spoil the others' answer.

        Return the answers, and the ids of the calls that were refused or rest.
        """
        due = [call_id for call_id in ids if self.may_ask(_part(call_id))]
        doubtful = [call_id for call_id in due if self.run.parts.known(_part(call_id))]
        sound = [call_id for call_id in due if call_id not in doubtful]
        answers: list[Answer] = []
        unread = set(ids) - set(due)
        for group in filter(None, (sound, doubtful)):
            found, refused = await self._halving.ask(group, request, self.run.parts.tries(_part(group[0])))
            answers += found
            unread |= set(refused)
            for call_id, error in refused.items():
                await self.part_failed(_part(call_id), error)
        return answers, unread

    def _record(self, call: Json, *, transcript: list[Any] | None, row: StoredRow | None) -> GongCall:
        return GongCall.from_api(
            self.run.account,
            call,
            transcript,
            was=None if row is None else row.transcript_state,
            age=timedelta(0) if row is None else self.run.clock.now() - row.first_seen_at,
        )


def pieces_of(calls: int) -> int:
    """Return into how many pieces a window with so many calls is cut."""
    return 1 if calls <= CALLS_A_WINDOW else ceil(ROOM * calls / CALLS_A_WINDOW)


def _part(call_id: str) -> str:
    return f"{CALL}:{call_id}"


def _hundreds(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + IDS_A_REQUEST] for start in range(0, len(ids), IDS_A_REQUEST)]


def _facts(call: object) -> JsonView:
    return mapping_of(mapping_of(call).get("metaData"))


def _private(call: object) -> bool:
    """Whether a call is private, or what Gong says about that cannot be read."""
    said = _facts(call).get("isPrivate")
    return said is not None and flag_of(said) is not False


def _held(row: StoredRow | None, call: Json) -> bool:
    """Whether we hold a call complete and as it is now."""
    if row is None or row.deleted_at is not None or row.transcript_state != READY:
        return False
    return bool(row.details_hash == hash_of(call))
