"""Read one account: every page is committed with the cursor that covers it, and counted."""

import asyncio
import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import (
    LeaseLost,
    ProcessFault,
    SourceError,
    TooManyRejected,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.in_flight import InFlight
from ingest_assets.sources.login import Account, Credential
from ingest_assets.sources.parts import Parts, UnreadablePart
from ingest_assets.sources.progress import Progress
from ingest_assets.sources.record import ConversationRecord
from ingest_assets.sources.redaction import redacting
from ingest_assets.sources.retention import only_kept
from ingest_assets.sources.source import DAY, Extraction, Page, Source, Store
from ingest_assets.sources.values import storable
from ingest_assets.storage import writes
from ingest_assets.storage.account_leases import Lease, renew_lease
from ingest_assets.storage.deletion_tables import REFUSED, WAITING
from ingest_assets.storage.engine import gave_way, reading, went_away
from ingest_assets.storage.existing import any_rejected
from ingest_assets.storage.history import calls_by_sync
from ingest_assets.storage.parts import load_parts
from ingest_assets.storage.schema import Columns, ColumnsView
from ingest_assets.storage.suppressed import load_people
from ingest_assets.storage.writes import Counts
from ingest_assets.sync.breaker import Breaker
from ingest_assets.sync.commits import committing
from ingest_assets.sync.door import Door
from ingest_assets.sync.oauth import tokens_of
from ingest_assets.sync.page import PageWriter, RowsByTable
from ingest_assets.sync.result import FAILED, PARTIAL, SKIPPED, SUCCESS, SyncResult
from ingest_assets.sync.stage import Stage
from ingest_assets.sync.stop import process_ends
from ingest_assets.sync.worker import Worker, part_of, who

STOPPED = "stopped; the next run goes on"
NAMED = 10  # unreadable parts in one sentence; the others are counted
TOLERATED_REJECTIONS = 10  # below this the rejected share says nothing


class OutOfTime(Exception):
    """INGEST_SYNC_MINUTES are over: a page is committed, and the next run goes on."""


class Reading:
    """One account while it is read: its counts, and the lease that allows it to write."""

    def __init__(
        self, source: Source, account: Account, options: SourceOptions, worker: Worker, lease: Lease
    ) -> None:
        self.source, self.account, self.options, self.worker, self.lease = source, account, options, worker, lease
        self.started_at = worker.clock.now()
        self.began = monotonic()
        self.counts = Counts()
        self.labels: defaultdict[str, Counts] = defaultdict(Counts)
        self.calls: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.redacted: Counter[str] = Counter()
        self.unreadable: dict[str, UnreadablePart] = {}
        self.times: list[datetime] = []
        self.progress = Progress()
        self.in_flight = InFlight()
        self.unread: dict[str, int] = {}
        """By stream, how many ranges are left to be read, as its last cursor says."""

    def stage(self) -> Stage:
        """Return how far it has come."""
        now = self.worker.clock.now()
        return Stage.of(
            self.progress, since=self.started_at, rows=self.counts.seen, calls=self.calls.total(), now=now
        )

    async def read(self, credential: ColumnsView) -> SyncResult:
        """Commit page after page. Raises what comes of a database that went away, or of a process that ends."""
        self.worker.under_way[self.account.account_id] = self
        heartbeat = asyncio.create_task(self._keep_lease())
        extracting = asyncio.create_task(self._extracted(credential))
        try:
            with self.worker.stop.calls(self.in_flight.ending(extracting)):
                await extracting
        except asyncio.CancelledError:
            if not self.worker.stop.requested:
                raise
            return self._result(PARTIAL, STOPPED, unfinished=True)
        except OutOfTime:
            if self.breaker.waiting:  # held deletions hold up a cursor: the next run would begin where this did
                return self._held()
            return self._result(PARTIAL, "reached its time limit; the next run goes on", unfinished=True)
        except LeaseLost as error:
            return self._result(SKIPPED, str(error))
        except ProcessFault as error:
            return self._result(FAILED, str(error), by_process=True)
        except SourceError as error:
            return self._result(FAILED, str(error), error=error)
        except Exception as error:  # the one boundary: a bug in one account must not stop the others
            if went_away(error) or process_ends():
                raise
            failure = self._gave_way() if gave_way(error) else self.bug(error)
            return self._result(FAILED, str(failure), error=failure)
        finally:
            heartbeat.cancel()
            self.worker.under_way.pop(self.account.account_id, None)
        return self._judge()

    async def _extracted(self, credential: ColumnsView) -> None:
        with reading(self.worker.engine) as conn:
            people = load_people(conn, self.worker.vault, self.account.workspace_id)
        door = Door(people, self.account.workspace_id)
        with redacting(self.worker.core.redactions) as redactor:
            self.redacted = redactor.counts
            async with committing(self._commit) as store:

                async def without(page: Page) -> None:
                    await store(door.page(page))

                await self._extract(credential, without if people else store)
        await asyncio.to_thread(self.writer.finish)

    async def _commit(self, page: Page, rows: RowsByTable) -> None:
        self._count(page, await asyncio.to_thread(self.writer.write, page, rows))
        self._take_back()
        late = monotonic() - self.began > self.worker.core.sync_minutes * 60
        if late and (page.stream or page.cursor):  # not amid a directory, which starts from its front
            raise OutOfTime

    def _judge(self) -> SyncResult:
        """Everything was read; say whether that is a success."""
        counts = self.counts
        if self.breaker.waiting:
            return self._held()
        if counts.rejected > max(TOLERATED_REJECTIONS, self.worker.core.rejected_share * counts.seen):
            error = TooManyRejected(
                f"{counts.rejected} of {counts.seen} items of {who(self.source, self.account)} could not be "
                "parsed; they are kept in ingest.rejected_records."
            )
            return self._result(FAILED, str(error), error=error)
        if reason := self._not_read():
            return self._result(PARTIAL, reason)
        return self._result(SUCCESS)

    def _held(self) -> SyncResult:
        with reading(self.worker.engine) as conn:
            error = self.breaker.error(writes.stored_rows(conn, self.source.main.table, self.account.account_id))
        return self._result(FAILED, str(error), error=error)

    def _not_read(self) -> str | None:
        """Return which parts could not be read and which are gone, but for hints and acknowledged ones."""
        missing = [part for part in self.unreadable.values() if part.part not in self.source.hints]
        open_parts = [part for part in missing if part.acknowledged_at is None]
        left = [str(part) for part in open_parts if part.left_at is not None]
        failed = [str(part) for part in open_parts if part.left_at is None]
        failed += [f"{part} ({code})" for part, code in self.skipped.items()]
        sentences = [f"not readable: {_few(failed)}"] if failed else []
        return "; ".join([*sentences, *([_few(left)] if left else [])]) or None

    def _result(self, status: str, reason: str | None = None, **more: Any) -> SyncResult:
        return SyncResult(
            account=self.account,
            status=status,
            reason=storable(reason),
            counts=self.counts,
            labels=self.labels,
            calls=self.calls,
            left_out=self.left_out,
            ignored=self.ignored,
            redacted=self.redacted,
            unreadable=list(self.unreadable.values()),
            read_from=min(self.times, default=None),
            read_to=max(self.times, default=None),
            seconds=monotonic() - self.began,
            **more,
        )

    async def _extract(self, credential: ColumnsView, store: Store) -> None:
        worker, name = self.worker, who(self.source, self.account)
        opened = self.source.credential.model_validate(worker.vault.open(credential, who=name))
        with reading(worker.engine) as conn:
            cursors = writes.load_cursors(conn, self.account.account_id)
            rejected_before = any_rejected(conn, self.account.account_id)
            self.breaker = Breaker.load(conn, self.source, self.account, worker.core.deleted_share)
            self.unreadable = {row.part: part_of(row) for row in load_parts(conn, self.account.account_id)}
            calls_today: Sequence[tuple[datetime, int]] = ()
            if self.source.daily_calls is not None:
                since = self.started_at - DAY
                calls_today = calls_by_sync(conn, self.source.name, self.account.external_id, since)
        self.writer = PageWriter(
            self.source,
            self.account,
            worker,
            self.lease,
            self.started_at,
            self.breaker,
            stage=lambda: self.stage().as_json(),
            is_first=not cursors,
            any_rejected=rejected_before,
        )
        extraction = self._extraction(opened, cursors, calls_today)
        tokens = tokens_of(self.source, extraction, engine=worker.engine, vault=worker.vault)
        await self.source.connector().extract(*only_kept(replace(extraction, tokens=tokens), store))

    def _extraction(
        self, opened: Credential, cursors: Mapping[str, Columns], calls_today: Sequence[tuple[datetime, int]]
    ) -> Extraction:
        return Extraction(
            account=self.account,
            credential=opened,
            settings=self.source.settings.model_validate(self.account.settings),
            options=self.options,
            cursors=cursors,
            started_at=self.started_at,
            engine=self.worker.engine,
            clock=self.progress.noting(self.worker.clock),
            progress=self.progress,
            calls=self.calls,
            in_flight=self.in_flight,
            calls_today=calls_today,
            skipped=self.skipped,
            waiting=self.breaker.ids(WAITING),
            kept=self.breaker.ids(REFUSED),
            left_out=self.left_out,
            ignored=self.ignored,
            history_until=self.worker.history_until,
            half_time=self.started_at + timedelta(minutes=self.worker.core.sync_minutes) / 2,
            parts=Parts(self.unreadable.values(), now=self.started_at, ask_all=self.worker.reservation is None),
        )

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self.worker.lease_length.total_seconds() / 3)
            with suppress(SQLAlchemyError):  # the next commit meets the same database and reports it
                await asyncio.to_thread(self._renew)

    def _renew(self) -> None:
        with self.worker.engine.begin() as conn:
            renew_lease(conn, self.lease, self.worker.lease_length, stage=self.stage().as_json())

    def _count(self, page: Page, counts: Counts) -> None:
        self.counts += counts
        self.unreadable |= {part.part: part for part in page.unreadable}
        for part in page.read:
            self.unreadable.pop(part, None)
        if page.cursor is not None:
            self.unread[page.stream] = len(getattr(page.cursor, "unread", ()))
        if page.label is not None:
            self.labels[page.label] += counts
        times = [record.occurred_at for record in page.records if isinstance(record, ConversationRecord)]
        if times:
            self.times = [min(times + self.times), max(times + self.times)]

    def _take_back(self) -> None:
        """Count rows no longer as deleted that are held instead."""
        for label, count in self.breaker.taken_back.items():
            self.counts.deleted -= count
            if label is not None:
                self.labels[label].deleted -= count
        self.breaker.taken_back.clear()

    def _gave_way(self) -> SourceError:
        return Transient(f"PostgreSQL was too busy with others to store {who(self.source, self.account)}.")

    def bug(self, error: Exception) -> SourceError:
        """Make the error for an exception that nothing expected."""
        return UnexpectedResponse(
            f"A bug of ours stopped the sync of {who(self.source, self.account)}: {_where(error)}."
        )


def _few(names: Sequence[str]) -> str:
    """Return the first of many."""
    more = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more


def _where(error: Exception) -> str:
    """Return a bug's place in our code, without its text, which may quote a message or a row."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "ingest_assets" in frame.filename]
    frame = ours[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
