"""THE loop: one account, pages in, rows and the cursor that covers them out, one transaction a page.

    take the lease -> extract pages -> [rows + deletions + rejected items + cursor] -> result, history, lease

A crash at any instruction loses nothing: what was committed is covered by its cursor, the rest is read again.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import CredentialRejected
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.source import Source
from ingest_assets.sources.values import storable
from ingest_assets.storage.account_leases import Lease, release_lease, take_lease
from ingest_assets.storage.accounts import get_account
from ingest_assets.storage.engine import went_away
from ingest_assets.storage.history import finish_sync
from ingest_assets.storage.schema import DISCONNECTED, NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.sync.reading import Reading
from ingest_assets.sync.result import FAILED, SKIPPED, SyncResult, next_state, report
from ingest_assets.sync.stage import Stage
from ingest_assets.sync.worker import Worker, account_of

LEFT_ALONE = {
    PAUSED: "paused; `ingest-assets resume` lets it go on",
    DISCONNECTED: "disconnected meanwhile",
}


def sync(source: Source, row: StoredRow, options: SourceOptions, worker: Worker) -> SyncResult:
    """Sync one account of `ingest.accounts`, with the state, login and settings that it has now.

    Returns a result for everything that concerns only this account. Raises OperationalError when the
    database went away, for the step's retry policy, and whatever comes of it that the process ends.
    """
    with worker.engine.begin() as conn:
        taken = take_lease(
            conn,
            row.account_id,
            worker.owner,
            worker.lease_length,
            now=worker.clock.now(),
            reservation=worker.reservation,
            stage=Stage.begun(worker.clock.now()).as_json(),
        )
        if taken is None:
            return _left_alone(get_account(conn, row.account_id), worker)
    lease = Lease.of(taken)
    one = Reading(source, account_of(taken), options, worker, lease)
    try:
        result = asyncio.run(one.read(taken.credential))
        if not result.by_process:
            return _finished(one, result, taken.attempts)
        with worker.engine.begin() as conn:
            release_lease(conn, lease)
        return result
    except BaseException:  # Ctrl-C too must not leave the account locked
        with suppress(SQLAlchemyError), worker.engine.begin() as conn:  # else it expires; report the first error
            release_lease(conn, lease)
        raise


def _left_alone(row: StoredRow, worker: Worker) -> SyncResult:
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


def _finished(one: Reading, result: SyncResult, attempts: int) -> SyncResult:
    """Finish with a result, or with one that says why it could not be stored: no account stops the others."""
    try:
        return _finish(one, result, attempts)
    except Exception as error:  # what cannot be stored of one account must not stop the others
        if went_away(error):
            raise
        bug = one.bug(error)
        return _finish(one, SyncResult(account=one.account, status=FAILED, reason=str(bug), error=bug), attempts)


def _finish(one: Reading, result: SyncResult, attempts: int) -> SyncResult:
    """Set the account's next state, write history and let the lease go, in one transaction."""
    now = one.worker.clock.now()
    summary = storable(report([result]))
    with one.worker.engine.begin() as conn:
        kept = finish_sync(
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
