"""THE loop: one account, pages in, rows and the cursor that covers them out, one transaction a page.

    take the lease -> extract pages -> [rows + deletions + rejected items + cursor] -> result, history, lease

A crash at any instruction loses nothing: what was committed is covered by its cursor, the rest is read again.
"""

import asyncio
import traceback
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Row, Table
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
from ingest_assets.sources.concurrency import ahead
from ingest_assets.sources.login import Account
from ingest_assets.sources.parts import Parts, UnreadablePart
from ingest_assets.sources.record import ConversationRecord
from ingest_assets.sources.source import DAY, Extraction, Page, Source
from ingest_assets.sources.values import storable
from ingest_assets.storage import accounts as storage
from ingest_assets.storage import overview, reads, writes
from ingest_assets.storage.engine import gave_way, reading, went_away
from ingest_assets.storage.parts import load_parts
from ingest_assets.storage.schema import DISCONNECTED, NEEDS_RECONNECT, PAUSED
from ingest_assets.storage.writes import Counts
from ingest_assets.sync.oauth import tokens_of
from ingest_assets.sync.page import PageWriter, Rows
from ingest_assets.sync.result import FAILED, PARTIAL, SKIPPED, SUCCESS, SyncResult, next_state, report
from ingest_assets.sync.worker import Worker, account_of, who

NAMED = 10  # unreadable parts in one sentence; the others are counted
TOLERATED_REJECTIONS = 10  # below this the rejected share says nothing

LEFT_ALONE = {
    PAUSED: "paused; `ingest-assets resume` lets it go on",
    DISCONNECTED: "disconnected meanwhile",
}


def process_ends() -> bool:
    """Tell whether no thread can be started any more, so that nothing can be read.

    So a run ends whose step failed between two results, while other threads read the accounts that are left:
    Python waits for them, and gives them no new thread.
    """
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:
        return True
    return False


def sync(source: Source, row: Row[Any], options: Any, worker: Worker) -> SyncResult:
    """Sync one account of `ingest.accounts`, with the state, login and settings that it has now.

    Returns a result for everything that concerns only this account. Raises OperationalError when the
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
        result = asyncio.run(one.read(taken.credential))
        if not result.by_process:
            return _finished(one, result, taken.attempts)
        with worker.engine.begin() as conn:
            storage.release_lease(conn, lease)
        return result
    except BaseException:  # Ctrl-C too must not leave the account locked
        with suppress(SQLAlchemyError), worker.engine.begin() as conn:  # else it expires; report the first error
            storage.release_lease(conn, lease)
        raise


def _left_alone(row: Row[Any], worker: Worker) -> SyncResult:
    """Return why an account may not be read now. One that waits after a failure still counts as failed."""
    account = account_of(row)
    if row.state == NEEDS_RECONNECT:
        again = f"`ingest-assets resume {row.source} --workspace {row.workspace_id}` asks again"
        reason = f"since {row.state_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {row.reason} {again}."
        return SyncResult(account=account, status=FAILED, reason=reason, error=CredentialRejected(reason))
    if row.state in LEFT_ALONE:
        return SyncResult(account=account, status=SKIPPED, reason=LEFT_ALONE[row.state])
    held = row.lease_until is not None and row.lease_until > datetime.now(UTC) and row.lease_owner != worker.owner
    if held or row.due_at is None or row.due_at <= worker.clock.now():
        return SyncResult(account=account, status=SKIPPED, reason="another run reads this account")
    waits = f"waits for its next try at {row.due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if row.attempts:
        return SyncResult(account=account, status=FAILED, reason=f"{waits}: {row.reason}")
    return SyncResult(account=account, status=SKIPPED, reason=waits)


def _finished(one: "_Sync", result: SyncResult, attempts: int) -> SyncResult:
    """Finish with a result, or with one that says why it could not be stored: no account stops the others."""
    try:
        return _finish(one, result, attempts)
    except Exception as error:  # what cannot be stored of one account must not stop the others
        if went_away(error):
            raise
        bug = one.bug(error)
        return _finish(one, SyncResult(account=one.account, status=FAILED, reason=str(bug), error=bug), attempts)


def _finish(one: "_Sync", result: SyncResult, attempts: int) -> SyncResult:
    """Set the account's next state, write history and let the lease go, in one transaction."""
    now = one.worker.clock.now()
    summary = storable(report([result]))
    with one.worker.engine.begin() as conn:
        kept = storage.finish_sync(
            conn,
            one.lease,
            next_state(result, attempts=attempts, started_at=one.started_at, now=now),
            history={
                "owner": one.worker.owner,
                "status": result.status,
                "error_kind": result.error.kind if result.error else None,
                "started_at": one.started_at,
                "finished_at": now,
                "api_calls": summary["api_calls"],
                "summary": summary,
            },
        )
    if kept:
        return result
    return replace(result, status=SKIPPED, error=None, reason="taken over: the account was changed meanwhile")


class _Sync:
    """One account's sync under way: its counts, and the lease that allows it to write."""

    def __init__(
        self, source: Source, account: Account, options: Any, worker: Worker, lease: storage.Lease
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
        self.unreadable: dict[str, UnreadablePart] = {}
        self.times: list[datetime] = []
        self.writer = PageWriter(source, account, worker, lease, self.started_at)

    async def read(self, credential: Mapping[str, Any]) -> SyncResult:
        """Commit page after page."""
        heartbeat = asyncio.create_task(self._keep_lease())
        try:
            async with aclosing(ahead(self._prepared(credential))) as pages:
                async for page, rows in pages:
                    self._count(page, await asyncio.to_thread(self.writer.write, page, rows))
                    late = monotonic() - self.began > self.worker.core.sync_minutes * 60
                    if late and (page.stream or page.cursor):  # not amid a directory, which starts from its front
                        return self._result(
                            PARTIAL, "reached its time limit; the next run goes on", unfinished=True
                        )
        except LeaseLost as error:
            return self._result(SKIPPED, str(error))
        except ProcessFault as error:
            return self._result(FAILED, str(error), by_process=True)
        except SourceError as error:
            return self._result(FAILED, str(error), error=error)
        except Exception as error:  # the one boundary: a bug in one account must not stop the others
            if went_away(error) or process_ends():
                raise
            return self._failed_by(error)
        finally:
            heartbeat.cancel()
        return self._judge()

    def _failed_by(self, error: Exception) -> SyncResult:
        """Make the result for an exception that nothing expected."""
        failure = self._gave_way() if gave_way(error) else self.bug(error)
        return self._result(FAILED, str(failure), error=failure)

    def _judge(self) -> SyncResult:
        """Everything was read; say whether that is a success."""
        counts = self.counts
        if counts.rejected > max(TOLERATED_REJECTIONS, self.worker.core.rejected_share * counts.seen):
            error = TooManyRejected(
                f"{counts.rejected} of {counts.seen} items of {who(self.source, self.account)} could not be "
                "parsed; they are kept in ingest.rejected_records."
            )
            return self._result(FAILED, str(error), error=error)
        if reason := self._not_read():
            return self._result(PARTIAL, reason)
        return self._result(SUCCESS)

    def _not_read(self) -> str | None:
        """Return which parts could not be read and which are gone, but for those that an operator acknowledged."""
        open_parts = [part for part in self.unreadable.values() if part.acknowledged_at is None]
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
        opened = self.source.credential.model_validate(
            self.worker.vault.open(credential, who=who(self.source, self.account))
        )
        worker = self.worker
        with reading(worker.engine) as conn:
            cursors = writes.load_cursors(conn, self.account.account_id)
            self.writer.is_first = not cursors
            self.writer.any_rejected = reads.any_rejected(conn, self.account.account_id)
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

    def _count(self, page: Page, counts: Counts) -> None:
        self.counts += counts
        self.unreadable |= {part.part: part for part in page.unreadable}
        for part in page.read:
            self.unreadable.pop(part, None)
        if page.label is not None:
            self.labels[page.label] += counts
        times = [record.occurred_at for record in page.records if isinstance(record, ConversationRecord)]
        if times:
            self.times = [min(times + self.times), max(times + self.times)]

    def _gave_way(self) -> SourceError:
        return Transient(f"PostgreSQL was too busy with others to store {who(self.source, self.account)}.")

    def bug(self, error: Exception) -> SourceError:
        """Make the error for an exception that nothing expected."""
        return UnexpectedResponse(
            f"A bug of ours stopped the sync of {who(self.source, self.account)}: {_where(error)}."
        )


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
