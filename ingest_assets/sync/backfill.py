"""Read an account's history to its end: one sync after the other, each of which reads first what is new.

Nothing is done here that a run of Dagster does not do as well: whoever has the lease goes on where the cursors
are, and the other waits. So a run meanwhile takes its share of the work, and nothing is read twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest_assets.errors import Transient
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import get_account
from ingest_assets.storage.coverage import unread_reasons
from ingest_assets.storage.engine import reading
from ingest_assets.storage.schema import DISCONNECTED, StoredRow
from ingest_assets.sync.account import LEFT_ALONE
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.sync.result import PARTIAL, SKIPPED, SUCCESS, SyncResult
from ingest_assets.sync.worker import Worker

LOOK_AGAIN = 2.0  # seconds, while another run reads the account
LONGEST_WAIT = timedelta(minutes=30)  # for the next try after a failure; who waits for longer is told
NAMED = 5  # gaps in one sentence


@dataclass
class Backfill:
    """One account's history from a moment on, or what of it lies before another one."""

    source: Source
    row: StoredRow
    options: SourceOptions
    worker: Worker
    since: datetime
    until: datetime
    results: list[SyncResult] = field(default_factory=list)
    """Of the syncs that read."""
    covered: bool = False
    reason: str | None = None
    """Why it ended before all was covered."""

    def run(self) -> Iterator[SyncResult]:
        """Yield the result of each sync, until all is covered, or there is a reason to stop."""
        self.covered, waits = self._missing() == [], False
        while not self.covered and self.reason is None and not self.worker.stop.requested:
            result = self._sync()
            if result is None:
                self.reason = LEFT_ALONE[DISCONNECTED]
            elif result.status != SKIPPED:
                self.results.append(result)
                yield result
                self._judge(result)
            elif (state := self._account().state) in LEFT_ALONE:
                self.reason = LEFT_ALONE[state]
            else:
                if not waits:
                    yield result
                self.worker.stop.wait(LOOK_AGAIN)
            waits = result is not None and result.status == SKIPPED

    def _sync(self) -> SyncResult | None:
        workspaces, account_id = [self.row.workspace_id], self.row.account_id

        def only(row: StoredRow) -> bool:
            return bool(row.account_id == account_id)

        results = sync_workspaces(self.source, workspaces, self.options, self.worker, only=only)
        return next((result for _workspace, found in results for result in found), None)

    def _judge(self, result: SyncResult) -> None:
        """Say after a sync whether all is covered, or why another one would not help now."""
        if result.unfinished or self.worker.stop.requested:
            return
        if result.status in {SUCCESS, PARTIAL}:
            missing = self._missing()  # None: of parts that the account does not read any more
            self.covered = not missing
            self.reason = _sentence(missing) if missing else None
        elif not isinstance(result.error, Transient) or not self._waited():
            self.reason = result.reason

    def _waited(self) -> bool:
        """Wait for the time of the account's next try; false where there is none soon."""
        due = self._account().due_at
        pause = LONGEST_WAIT if due is None else due - self.worker.clock.now()
        if pause >= LONGEST_WAIT:
            return False
        self.worker.stop.wait(max(pause.total_seconds(), 0))
        return True

    def _account(self) -> StoredRow:
        with reading(self.worker.engine) as conn:
            return get_account(conn, self.row.account_id)

    def _missing(self) -> Sequence[tuple[str, str]] | None:
        with reading(self.worker.engine) as conn:
            return unread_reasons(conn, self.row, self.since, self.until)


def _sentence(missing: Sequence[tuple[str, str]]) -> str:
    named = [f"{part} ({reason})" for part, reason in missing[:NAMED]]
    more = f" and {len(missing) - NAMED} others" if len(missing) > NAMED else ""
    return f"not read yet: {', '.join(named)}{more}"
