"""Many accounts in one run: a bounded pool, each workspace's results as soon as its last account is done.

A partition run, a batch, a backfill and the command line all come through `sync_workspaces`.
"""

import gc
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

from ingest_assets.errors import ProcessFault, Transient
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.source import Source
from ingest_assets.sources.times import BEGINNING
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.engine import require_clock
from ingest_assets.storage.schema import PAUSED, StoredRow
from ingest_assets.sync.account import sync
from ingest_assets.sync.reading import STOPPED
from ingest_assets.sync.result import SKIPPED, SyncResult
from ingest_assets.sync.stop import Stop, process_ends
from ingest_assets.sync.worker import Worker, account_of

DOWN = 10
"""So many workspaces in a row that failed in passing: the vendor is down, and the others are not even tried."""


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Run the cyclic garbage collector less often.

    Pages are large trees without cycles, which it would walk again and again, for a quarter of the CPU of a large
    sync.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def sync_workspaces(
    source: Source,
    workspace_ids: Sequence[str],
    options: SourceOptions,
    worker: Worker,
    *,
    only: Callable[[Any], bool] = lambda _row: True,
) -> Iterator[tuple[str, list[SyncResult]]]:
    """Yield (workspace, results) in the order in which workspaces are done; no account, no result.

    Workspaces take turns, an account each. When the vendor turns out to be down, or in a run that a schedule or
    sensor started a workspace took as long as one account may, the accounts that are left are skipped and stay
    due.
    When `worker.stop` is requested, or nobody takes the results, those under way end at a safe place, and no other
    begins.
    Raises ProcessFault before the first account where this process can read none.
    """
    source.connector()  # imported now, and not in the first accounts' time
    with worker.engine.connect() as conn:
        require_clock(conn, datetime.now(UTC))
        rows = [row for row in find_accounts(conn, source=source.name, workspace_ids=workspace_ids) if only(row)]
    _require_logins(source, [row for row in rows if row.state != PAUSED], worker)
    waiting = Counter(row.workspace_id for row in rows)
    results: defaultdict[str, list[SyncResult]] = defaultdict(list)
    for workspace_id in dict.fromkeys(workspace_ids):
        if workspace_id not in waiting:
            yield workspace_id, []
    stop = Stop()
    attempts = _Attempts(source, options, replace(worker, stop=stop))
    with (
        worker.stop.calls(stop.request),
        _quiet_collector(),
        ThreadPoolExecutor(worker.core.parallel_accounts, thread_name_prefix=source.name) as pool,
    ):
        futures = {pool.submit(attempts.one, row): row.workspace_id for row in _in_turns(rows)}
        try:
            for future in as_completed(futures):
                workspace_id = futures[future]
                results[workspace_id].append(future.result())
                if len(results[workspace_id]) == waiting[workspace_id]:
                    yield workspace_id, results[workspace_id]
        except BaseException:  # nobody takes the results: accounts that are under way end at a safe place
            stop.request()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Attempts:
    """What the accounts of a run share: whether the vendor is down, and what each workspace has taken."""

    def __init__(self, source: Source, options: SourceOptions, worker: Worker) -> None:
        self._source, self._options, self._worker = source, options, worker
        self._share = inf if worker.reservation is None else worker.core.sync_minutes * 60
        self._failed: set[str] = set()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._counting = threading.Lock()

    def one(self, row: StoredRow) -> SyncResult:
        """Sync an account, or say why not."""
        if (reason := self._skipped(row.workspace_id)) is not None:
            return SyncResult(account=account_of(row), status=SKIPPED, reason=reason)
        result = sync(self._source, row, self._options, self._worker)
        with self._counting:
            self._spent[row.workspace_id] += result.seconds
            if isinstance(result.error, Transient):
                self._failed.add(row.workspace_id)
            else:
                self._failed.clear()
        return result

    def _skipped(self, workspace_id: str) -> str | None:
        if self._worker.stop.requested:
            return STOPPED
        if process_ends():
            return "the process ends"
        if len(self._failed) >= DOWN:
            return f"{self._source.title} seems to be down: the last {DOWN} workspaces failed in passing"
        if self._spent[workspace_id] >= self._share:
            return "the workspace's other accounts took its share of this run; the next one goes on"
        return None


def _require_logins(source: Source, rows: Sequence[StoredRow], worker: Worker) -> None:
    """Raise ProcessFault where no login can be opened here; where some cannot, each account tells by itself."""
    faults: list[str] = []
    for row in rows:
        try:
            worker.vault.open(row.credential, who=f"account {row.name!r} of workspace {row.workspace_id}")
        except ProcessFault as fault:
            faults.append(str(fault))
        else:
            return
    if faults:
        raise ProcessFault(
            f"No login of {len(rows)} {source.title} {'account' if len(rows) == 1 else 'accounts'} can be read by "
            f"this process, so nothing was tried. {faults[0]}"
        )


def _in_turns(rows: Iterable[StoredRow]) -> list[StoredRow]:
    """Put each workspace's first account before anybody's second; longest waiting first."""
    places: Counter[str] = Counter()
    turns: list[tuple[int, StoredRow]] = []
    for row in sorted(rows, key=lambda row: row.last_sync_at or BEGINNING):
        turns.append((places[row.workspace_id], row))
        places[row.workspace_id] += 1
    return [row for _, row in sorted(turns, key=lambda turn: turn[0])]
