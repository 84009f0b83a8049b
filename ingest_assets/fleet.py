"""Many accounts in one run: a bounded pool, each workspace's verdicts as soon as its last account is done.

A partition run, a batch, a backfill and the command line all come through `sync_workspaces`.
"""

import gc
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row

from ingest_assets.errors import Transient
from ingest_assets.sources.base import Source
from ingest_assets.storage import accounts as storage
from ingest_assets.sync import Worker, account_of, sync
from ingest_assets.verdict import SKIPPED, Verdict

DOWN = 10
"""So many accounts in a row that failed in passing: the vendor is down, and the others are not even tried."""


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Run the cyclic garbage collector less often: pages are large trees without cycles, which it would walk
    again and again, for a quarter of the CPU of a large sync."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def sync_workspaces(
    source: Source,
    workspace_ids: Sequence[str],
    options: Any,
    worker: Worker,
    *,
    only: Callable[[Any], bool] = lambda _row: True,
) -> Iterator[tuple[str, list[Verdict]]]:
    """Yield (workspace, verdicts) in the order in which workspaces are done; no account, no verdict.

    When the vendor turns out to be down, the accounts that are left are skipped and stay due.
    """
    with worker.engine.connect() as conn:
        rows = [
            row
            for row in storage.find_accounts(conn, source=source.name, workspace_ids=workspace_ids)
            if only(row)
        ]
    waiting = Counter(row.workspace_id for row in rows)
    verdicts: defaultdict[str, list[Verdict]] = defaultdict(list)
    for workspace_id in dict.fromkeys(workspace_ids):
        if workspace_id not in waiting:
            yield workspace_id, []
    with (
        _quiet_collector(),
        ThreadPoolExecutor(worker.core.parallel_accounts, thread_name_prefix=source.name) as pool,
    ):
        failed, counting = 0, threading.Lock()

        def attempt(row: Row[Any]) -> Verdict:
            nonlocal failed
            if failed >= DOWN:
                reason = f"{source.title} seems to be down: the last {DOWN} accounts failed in passing"
                return Verdict(account=account_of(row), status=SKIPPED, reason=reason)
            verdict = sync(source, row, options, worker)
            with counting:
                failed = failed + 1 if isinstance(verdict.error, Transient) else 0
            return verdict

        futures = {pool.submit(attempt, row): row.workspace_id for row in rows}
        try:
            for future in as_completed(futures):
                workspace_id = futures[future]
                verdicts[workspace_id].append(future.result())
                if len(verdicts[workspace_id]) == waiting[workspace_id]:
                    yield workspace_id, verdicts[workspace_id]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
