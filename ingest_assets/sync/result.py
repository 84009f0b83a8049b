"""What became of a sync: the result, what it means for the account, and the report that everybody reads.

The report is one object for the command line, the sync history and Dagster's metadata.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest_assets.errors import CredentialRejected, CursorExpired, DoubtfulRejection, SourceError, Transient
from ingest_assets.sources.login import Account
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.storage.schema import ACTIVE, FAILING, NEEDS_RECONNECT, Columns
from ingest_assets.storage.writes import Counts

SUCCESS, PARTIAL, FAILED, SKIPPED = "success", "partial", "failed", "skipped"

BACKOFF = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))
"""Pauses before the retries of an account; afterwards it keeps its schedule, marked failing."""
LISTED = 100  # unreadable parts in a report; the table has all
BELIEVED = 3  # syncs in a row that meet a rejection which passing faults look like, before it is believed
JITTER = 0.2  # of a pause, either way, so that accounts which failed together do not return together


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What became of one account's sync."""

    account: Account
    status: str
    reason: str | None = None
    error: SourceError | None = None
    by_process: bool = False
    """This process cannot read the account, as it was started: nothing is noted of the account."""
    unfinished: bool = False
    """The time limit came first: due again at once."""
    counts: Counts = field(default_factory=Counts)
    labels: Mapping[str, Counts] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Items that the account's settings keep out, by the reason."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """Headers of the vendor's that say nothing that anybody understands, by name."""
    redacted: Mapping[str, int] = field(default_factory=dict)
    """Items in which something was replaced before they were stored, by what it was."""
    unreadable: Sequence[UnreadablePart] = ()
    """Parts that cannot be read, acknowledged ones included."""
    read_from: datetime | None = None
    read_to: datetime | None = None
    seconds: float = 0.0

    def as_json(self) -> Columns:
        """Return the account's entry in a report."""
        return {
            "workspace": self.account.workspace_id,
            "account": self.account.name,
            "status": self.status,
            "reason": self.reason,
            "new": self.counts.new,
            "changed": self.counts.changed,
            "deleted": self.counts.deleted,
            "rejected": self.counts.rejected,
            "api_calls": dict(sorted(self.calls.items())),
            "left_out": dict(sorted(self.left_out.items())),
            "ignored_headers": dict(sorted(self.ignored.items())),
            "redacted": dict(sorted(self.redacted.items())),
            "unreadable": [_as_json(part) for part in self.unreadable[:LISTED]],
            "read_from": self.read_from.isoformat() if self.read_from else None,
            "read_to": self.read_to.isoformat() if self.read_to else None,
            "seconds": round(self.seconds, 3),
        }


def _as_json(part: UnreadablePart) -> Columns:
    return {
        "part": part.part,
        "name": part.name,
        "code": part.code,
        "since": part.since.isoformat(),
        "attempts": part.attempts,
        "left": part.left_at is not None,
        "acknowledged": part.acknowledged_at is not None,
    }


def next_state(result: SyncResult, *, attempts: int, started_at: datetime, now: datetime) -> Columns:
    """Decide the account's state after a sync: columns of `ingest.accounts`."""
    error = result.error
    if error is None:
        healthy: Columns = {
            "state": ACTIVE,
            "reason": result.reason,
            "attempts": 0,
            "error_kind": None,
            "due_at": now if result.unfinished else None,
            "run_alone": result.unfinished,
        }
        return healthy if result.unfinished else healthy | {"last_success_at": started_at}
    attempts += 1
    failed: Columns = {"reason": str(error), "error_kind": error.kind, "attempts": attempts}
    failed |= {"due_at": None, "run_alone": True}
    doubtful = isinstance(error, DoubtfulRejection) and attempts < BELIEVED
    if isinstance(error, CredentialRejected) and not doubtful:
        return failed | {"state": NEEDS_RECONNECT}
    if not doubtful and not isinstance(error, Transient | CursorExpired):
        return failed | {"state": FAILING}
    retrying = attempts <= len(BACKOFF)
    pauses = [error.retry_after] if isinstance(error, Transient) and error.retry_after else []
    if retrying:
        pauses.append(BACKOFF[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  (jitter)
    if pauses:
        failed["due_at"] = now + max(pauses)
    return failed | {"state": ACTIVE if retrying else FAILING}


def status_of(results: Sequence[SyncResult]) -> str:
    """Sum up several accounts in one word."""
    found = {result.status for result in results} - {SKIPPED}
    if not found:
        return SKIPPED
    return found.pop() if len(found) == 1 else PARTIAL


def report(results: Sequence[SyncResult]) -> Columns:
    """Sum up a run."""
    failed = {result.account.workspace_id for result in results if result.status == FAILED}
    good = {result.account.workspace_id for result in results if result.status in {SUCCESS, PARTIAL}} - failed
    return {
        "status": status_of(results),
        "total_ingested": sum(result.counts.new + result.counts.changed for result in results),
        "new": sum(result.counts.new for result in results),
        "changed": sum(result.counts.changed for result in results),
        "deleted": sum(result.counts.deleted for result in results),
        "rejected": sum(result.counts.rejected for result in results),
        "api_calls": sum(sum(result.calls.values()) for result in results),
        "successful_workspaces": len(good),
        "failed_workspaces": len(failed),
        "successful_accounts": sum(result.status in {SUCCESS, PARTIAL} for result in results),
        "failed_accounts": sum(result.status == FAILED for result in results),
        "accounts": [result.as_json() for result in results],
    }
