"""THE loop: one account, pages in, rows and the cursor that covers them out, one transaction a page.

    take the lease -> extract pages -> [rows + deletions + rejected items + cursor] -> verdict, history, lease

A crash at any instruction loses nothing: what was committed is covered by its cursor, the rest is read again.
"""

import asyncio
import traceback
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Engine, Row, Table
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import (
    CredentialRejected,
    LeaseLost,
    ProcessFault,
    SourceError,
    TooManyRejected,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.concurrency import ahead
from ingest_assets.sources.login import Account, Clock
from ingest_assets.sources.parts import Parts, UnreadablePart
from ingest_assets.sources.record import ConversationRecord
from ingest_assets.sources.rejected import Rejected
from ingest_assets.sources.source import DAY, Extraction, Page, Source
from ingest_assets.sources.values import shortened_json, storable, storable_text
from ingest_assets.storage import accounts as storage
from ingest_assets.storage import overview, reads, writes
from ingest_assets.storage.engine import REFUSALS, gave_way, reading, refused, went_away
from ingest_assets.storage.parts import forget_parts, load_parts, save_parts
from ingest_assets.storage.schema import DISCONNECTED, NEEDS_RECONNECT, PAUSED
from ingest_assets.storage.vault import Vault
from ingest_assets.storage.writes import Counts
from ingest_assets.sync.oauth import tokens_of
from ingest_assets.sync.result import FAILED, PARTIAL, SKIPPED, SUCCESS, Verdict, next_state, report

NAMED = 10  # unreadable parts in one sentence; the others are counted
TOLERATED_REJECTIONS = 10  # below this the rejected share says nothing
TOLERATED_DELETIONS = 20  # nor does the deleted share

LEFT_ALONE = {
    PAUSED: "paused; `ingest-assets resume` lets it go on",
    DISCONNECTED: "disconnected meanwhile",
}

Rows = Mapping[Table, dict[str, tuple[Any, ...]]]
"""A page's rows, ready to be copied, by table and external id."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What every sync of a process shares."""

    engine: Engine
    vault: Vault
    core: CoreSettings
    owner: str
    """Who holds the leases: the Dagster run or the command; the same owner may resume."""
    clock: Clock = field(default_factory=Clock)
    reservation: str | None = None
    """Who is due later (a vendor said when), or reserved for another run, is left alone. None reads all."""

    @property
    def lease_length(self) -> timedelta:
        return timedelta(seconds=self.core.lease_seconds)


def account_of(row: Row[Any]) -> Account:
    """Read an account from its row of `ingest.accounts`."""
    return Account(
        account_id=row.account_id,
        workspace_id=row.workspace_id,
        name=row.name,
        external_id=row.external_id,
        settings=row.settings,
    )


def process_ends() -> bool:
    """Tell whether no thread can be started any more, so that nothing can be read.

    So a run ends whose step failed between two verdicts, while other threads read the accounts that are left:
    Python waits for them, and gives them no new thread.
    """
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:
        return True
    return False


def sync(source: Source, row: Row[Any], options: Any, worker: Worker) -> Verdict:
    """Sync one account of `ingest.accounts`, with the state, login and settings that it has now.

    Returns a verdict for everything that concerns only this account. Raises OperationalError when the
    database went away, for the step's retry policy, and whatever comes of it that the process ends.
    """
    with worker.engine.begin() as conn:
        taken = storage.take_lease(
            conn,
            row.account_id,
            worker.owner,
            worker.lease_length,
            now=worker.clock.now(),
            reservation=worker.reservation,
        )
        if taken is None:
            return _left_alone(storage.get_account(conn, row.account_id), worker)
    lease = storage.Lease.of(taken)
    one = _Sync(source, account_of(taken), options, worker, lease)
    try:
        verdict = asyncio.run(one.read(taken.credential))
        if not verdict.by_process:
            return _finished(one, verdict, taken.attempts)
        with worker.engine.begin() as conn:
            storage.release_lease(conn, lease)
        return verdict
    except BaseException:  # Ctrl-C too must not leave the account locked
        with suppress(SQLAlchemyError), worker.engine.begin() as conn:  # else it expires; report the first error
            storage.release_lease(conn, lease)
        raise


def _left_alone(row: Row[Any], worker: Worker) -> Verdict:
    """Return why an account may not be read now. One that waits after a failure still counts as failed."""
    account = account_of(row)
    if row.state == NEEDS_RECONNECT:
        again = f"`ingest-assets resume {row.source} --workspace {row.workspace_id}` asks again"
        reason = f"since {row.state_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {row.reason} {again}."
        return Verdict(account=account, status=FAILED, reason=reason, error=CredentialRejected(reason))
    if row.state in LEFT_ALONE:
        return Verdict(account=account, status=SKIPPED, reason=LEFT_ALONE[row.state])
    held = row.lease_until is not None and row.lease_until > datetime.now(UTC) and row.lease_owner != worker.owner
    if held or row.due_at is None or row.due_at <= worker.clock.now():
        return Verdict(account=account, status=SKIPPED, reason="another run reads this account")
    waits = f"waits for its next try at {row.due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if row.attempts:
        return Verdict(account=account, status=FAILED, reason=f"{waits}: {row.reason}")
    return Verdict(account=account, status=SKIPPED, reason=waits)


def _finished(one: "_Sync", verdict: Verdict, attempts: int) -> Verdict:
    """Finish with a verdict, or with one that says why it could not be stored: no account stops the others."""
    try:
        return _finish(one, verdict, attempts)
    except Exception as error:  # what cannot be stored of one account must not stop the others
        if went_away(error):
            raise
        bug = one.bug(error)
        return _finish(one, Verdict(account=one.account, status=FAILED, reason=str(bug), error=bug), attempts)


def _finish(one: "_Sync", verdict: Verdict, attempts: int) -> Verdict:
    """Set the account's next state, write history and let the lease go, in one transaction."""
    now = one.worker.clock.now()
    summary = storable(report([verdict]))
    with one.worker.engine.begin() as conn:
        kept = storage.finish_sync(
            conn,
            one.lease,
            next_state(verdict, attempts=attempts, started_at=one.started_at, now=now),
            history={
                "owner": one.worker.owner,
                "status": verdict.status,
                "error_kind": verdict.error.kind if verdict.error else None,
                "started_at": one.started_at,
                "finished_at": now,
                "api_calls": summary["api_calls"],
                "summary": summary,
            },
        )
    if kept:
        return verdict
    return replace(verdict, status=SKIPPED, error=None, reason="taken over: the account was changed meanwhile")


class _Sync:
    """One account's sync under way: its counts, and the lease that allows it to write."""

    def __init__(
        self, source: Source, account: Account, options: Any, worker: Worker, lease: storage.Lease
    ) -> None:
        self.source, self.account, self.options, self.worker, self.lease = source, account, options, worker, lease
        self.started_at = worker.clock.now()
        self.began = monotonic()
        self.counts = Counts()
        self.absent = 0
        self.labels: defaultdict[str, Counts] = defaultdict(Counts)
        self.calls: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.unreadable: dict[str, UnreadablePart] = {}
        self.times: list[datetime] = []
        self.any_rejected = False
        self.is_first = False

    async def read(self, credential: Mapping[str, Any]) -> Verdict:
        """Commit page after page."""
        heartbeat = asyncio.create_task(self._keep_lease())
        try:
            async with aclosing(ahead(self._prepared(credential))) as pages:
                async for page, rows in pages:
                    self._count(page, await asyncio.to_thread(self._commit, page, rows))
                    late = monotonic() - self.began > self.worker.core.sync_minutes * 60
                    if late and (page.stream or page.cursor):  # not amid a directory, which starts from its front
                        return self._verdict(
                            PARTIAL, "reached its time limit; the next run goes on", unfinished=True
                        )
        except LeaseLost as error:
            return self._verdict(SKIPPED, str(error))
        except ProcessFault as error:
            return self._verdict(FAILED, str(error), by_process=True)
        except SourceError as error:
            return self._verdict(FAILED, str(error), error=error)
        except Exception as error:  # the one boundary: a bug in one account must not stop the others
            if went_away(error) or process_ends():
                raise
            return self._failed_by(error)
        finally:
            heartbeat.cancel()
        return self._judge()

    def _failed_by(self, error: Exception) -> Verdict:
        """Make the verdict for an exception that nothing expected."""
        failure = self._gave_way() if gave_way(error) else self.bug(error)
        return self._verdict(FAILED, str(failure), error=failure)

    def _judge(self) -> Verdict:
        """Everything was read; say whether that is a success."""
        counts = self.counts
        if counts.rejected > max(TOLERATED_REJECTIONS, self.worker.core.rejected_share * counts.seen):
            error = TooManyRejected(
                f"{counts.rejected} of {counts.seen} items of {self._who()} could not be parsed; they are kept in "
                "ingest.rejected_records."
            )
            return self._verdict(FAILED, str(error), error=error)
        if reason := self._not_read():
            return self._verdict(PARTIAL, reason)
        return self._verdict(SUCCESS)

    def _not_read(self) -> str | None:
        """Return which parts could not be read and which are gone, but for those that an operator acknowledged."""
        open_parts = [part for part in self.unreadable.values() if part.acknowledged_at is None]
        left = [str(part) for part in open_parts if part.left_at is not None]
        failed = [str(part) for part in open_parts if part.left_at is None]
        failed += [f"{part} ({code})" for part, code in self.skipped.items()]
        sentences = [f"not readable: {_few(failed)}"] if failed else []
        return "; ".join([*sentences, *([_few(left)] if left else [])]) or None

    def _verdict(self, status: str, reason: str | None = None, **more: Any) -> Verdict:
        return Verdict(
            account=self.account,
            status=status,
            reason=storable(reason),
            counts=self.counts,
            labels=self.labels,
            calls=self.calls,
            left_out=self.left_out,
            ignored=self.ignored,
            unreadable=list(self.unreadable.values()),
            read_from=min(self.times, default=None),
            read_to=max(self.times, default=None),
            seconds=monotonic() - self.began,
            **more,
        )

    async def _prepared(self, credential: Mapping[str, Any]) -> AsyncGenerator[tuple[Page, Rows]]:
        """Yield pages with their rows: the next one is read and serialised while PostgreSQL stores the last."""
        async with aclosing(self._pages(credential)) as pages:
            async for page in pages:
                rows: defaultdict[Table, dict[str, tuple[Any, ...]]] = defaultdict(dict)
                for record in page.records:
                    rows[record.table][record.external_id] = record.row()
                yield page, rows

    async def _pages(self, credential: Mapping[str, Any]) -> AsyncGenerator[Page]:
        opened = self.source.credential.model_validate(self.worker.vault.open(credential, who=self._who()))
        worker = self.worker
        with reading(worker.engine) as conn:
            cursors = writes.load_cursors(conn, self.account.account_id)
            self.is_first = not cursors
            self.any_rejected = reads.any_rejected(conn, self.account.account_id)
            self.unreadable = {row.part: _part_of(row) for row in load_parts(conn, self.account.account_id)}
            calls_today: Sequence[tuple[datetime, int]] = ()
            if self.source.daily_calls is not None:
                since = self.started_at - DAY
                calls_today = overview.calls_by_sync(conn, self.source.name, self.account.external_id, since)
        extraction = Extraction(
            account=self.account,
            credential=opened,
            settings=self.source.settings.model_validate(self.account.settings),
            options=self.options,
            cursors=cursors,
            started_at=self.started_at,
            engine=worker.engine,
            clock=worker.clock,
            calls=self.calls,
            calls_today=calls_today,
            skipped=self.skipped,
            left_out=self.left_out,
            ignored=self.ignored,
            parts=Parts(self.unreadable.values(), now=self.started_at, ask_all=worker.reservation is None),
        )
        tokens = tokens_of(self.source, extraction, engine=worker.engine, vault=worker.vault)
        async with aclosing(self.source.connector().extract(replace(extraction, tokens=tokens))) as pages:
            async for page in pages:
                yield page

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self.worker.lease_length.total_seconds() / 3)
            with suppress(SQLAlchemyError):  # the next commit meets the same database and reports it
                await asyncio.to_thread(self._renew)

    def _renew(self) -> None:
        with self.worker.engine.begin() as conn:
            storage.renew_lease(conn, self.lease, self.worker.lease_length)

    def _commit(self, page: Page, rows: Rows) -> Counts:
        """Commit a page; where PostgreSQL refuses rows of it, in a second try all but these."""
        try:
            return self._write(page, rows, singly=False)
        except REFUSALS as error:
            if not refused(error):
                raise
        self.any_rejected = True
        return self._write(page, rows, singly=True)

    def _write(self, page: Page, rows: Rows, *, singly: bool) -> Counts:
        """Write a page in one transaction; `singly`: what PostgreSQL refuses is set aside row by row."""
        account_id, workspace_id, main = self.account.account_id, self.account.workspace_id, self.source.main.table
        counts, rejected = Counts(seen=len(page.rejected)), [self._rejected_row(item) for item in page.rejected]
        with self.worker.engine.begin() as conn:
            if not storage.renew_lease(conn, self.lease, self.worker.lease_length):
                raise LeaseLost("taken over: another run or command has this account now")
            for table, by_id in rows.items():
                # in order, so that two accounts that see the same items cannot lock each other out
                ordered = [by_id[key] for key in sorted(by_id)]
                refusals: Sequence[writes.Refusal] = ()
                if singly:
                    written, refusals = writes.upsert_what_fits(conn, table, ordered)
                else:
                    written = writes.upsert(conn, table, ordered, mostly_new=self.is_first)
                counts += written if table is main else Counts()
                rejected += [self._refused_row(table, one) for one in refusals]
                if self.any_rejected:
                    stored = by_id.keys() - {one.external_id for one in refusals}
                    writes.forget_rejected(conn, table, account_id, list(stored))
            if page.gone:
                self._refuse_mass_deletion(len(page.gone), writes.stored_rows(conn, main, account_id))
            if going := [*page.gone, *page.left]:
                counts.deleted += writes.mark_deleted(conn, main, account_id, going)
            for kind, external_ids in page.also_gone.items():
                writes.mark_deleted(conn, kind.table, account_id, external_ids)
            counts.rejected = writes.save_rejected(conn, rejected)
            save_parts(conn, [self._part_row(part) for part in page.unreadable])
            forget_parts(conn, account_id, page.read)
            if page.cursor is not None:
                cursor = storable(page.cursor.model_dump(mode="json"))  # it may hold a vendor's ids and names
                writes.save_cursor(conn, account_id, workspace_id, page.stream, cursor)
        return counts

    def _part_row(self, part: UnreadablePart) -> dict[str, Any]:
        whose = {"account_id": self.account.account_id, "workspace_id": self.account.workspace_id}
        row: dict[str, Any] = storable({**asdict(part), **whose, "last_tried_at": self.started_at})
        return row

    def _rejected_row(self, item: Rejected) -> dict[str, Any]:
        what = {"item_key": item.key, "payload": item.json, "error": storable_text(item.error)}
        return self._whose(item.record.table) | what

    def _refused_row(self, table: Table, refusal: writes.Refusal) -> dict[str, Any]:
        payload = shortened_json(refusal.raw.encode())
        return self._whose(table) | {"item_key": refusal.external_id, "payload": payload, "error": refusal.reason}

    def _whose(self, table: Table) -> dict[str, Any]:
        account = self.account
        return {
            "account_id": account.account_id,
            "workspace_id": account.workspace_id,
            "table_name": table.name,
        }

    def _count(self, page: Page, counts: Counts) -> None:
        self.counts += counts
        self.absent += len(page.gone)
        self.any_rejected = self.any_rejected or bool(page.rejected)
        self.unreadable |= {part.part: part for part in page.unreadable}
        for part in page.read:
            self.unreadable.pop(part, None)
        if page.label is not None:
            self.labels[page.label] += counts
        times = [record.occurred_at for record in page.records if isinstance(record, ConversationRecord)]
        if times:
            self.times = [min(times + self.times), max(times + self.times)]

    def _refuse_mass_deletion(self, more: int, stored: int) -> None:
        deleted, before = self.absent + more, self.absent + stored
        if deleted > max(TOLERATED_DELETIONS, self.worker.core.deleted_share * before):
            raise UnexpectedResponse(
                f"{self.source.title} shows {deleted} of {before} stored rows of {self._who()} no more; that is "
                "too many to believe, so none of these was marked as deleted. If it is right, raise "
                "INGEST_DELETED_SHARE for one sync."
            )

    def _gave_way(self) -> SourceError:
        return Transient(f"PostgreSQL was too busy with others to store {self._who()}.")

    def bug(self, error: Exception) -> SourceError:
        """Make the error for an exception that nothing expected."""
        return UnexpectedResponse(f"A bug of ours stopped the sync of {self._who()}: {_where(error)}.")

    def _who(self) -> str:
        return f"{self.source.title} account {self.account.name!r} of workspace {self.account.workspace_id}"


def _part_of(row: Row[Any]) -> UnreadablePart:
    return UnreadablePart(
        part=row.part,
        name=row.name,
        code=row.code,
        action=row.action,
        since=row.since.astimezone(UTC),
        attempts=row.attempts,
        due_at=row.due_at,
        left_at=row.left_at and row.left_at.astimezone(UTC),
        acknowledged_at=row.acknowledged_at,
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
