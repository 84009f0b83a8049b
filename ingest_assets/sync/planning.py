"""Plan what reading an account to its end will take, by asking its vendor a few times; nothing is stored."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from ingest_assets.errors import IngestError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.planning import Amount, Estimate
from ingest_assets.sources.retention import only_kept
from ingest_assets.sources.source import Extraction, Page, Source
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.history import history_from, require_readable
from ingest_assets.sync.looking import looking
from ingest_assets.sync.worker import Worker


@dataclass(frozen=True)
class Plan:
    """What reading one account takes."""

    row: StoredRow
    since: datetime
    estimate: Estimate
    cost: int
    """Requests that were made for the plan."""
    syncs: int
    """One after the other, of INGEST_SYNC_MINUTES each."""

    @property
    def calls(self) -> Amount:
        """Return how many requests it takes, what each further sync asks again included."""
        again = Amount(sum(self.estimate.each_sync.values()) * (self.syncs - 1))
        return sum(self.estimate.calls.values(), again)

    @property
    def minutes(self) -> float:
        return self.estimate.minutes


def plan_reading(
    source: Source,
    row: StoredRow,
    options: SourceOptions,
    worker: Worker,
    since: datetime | None,
    calls: Counter[str] | None = None,
) -> Plan:
    """Plan the next syncs of an account, from a moment on or as far back as it is read anyway.

    `calls`: counts the requests as they are made.
    Raises IngestError where it cannot be read so far back, and what the vendor answers.
    """
    now = worker.clock.now()
    before = history_from(row, options, now)
    wanted = before if since is None else min(since, before) if row.last_sync_at else since
    if since is not None:
        require_readable(source, row, options, since, now)
    before_it = 0 if calls is None else calls.total()
    run = replace(looking(source, row, options, worker), calls=Counter() if calls is None else calls)
    if since is not None:
        run = replace(run, account=replace(run.account, history_from=wanted))
    estimate = asyncio.run(_estimated(source, run))
    syncs = max(1, ceil(estimate.minutes / worker.core.sync_minutes))
    return Plan(row, wanted, estimate, run.calls.total() - before_it, syncs)


async def _estimated(source: Source, run: Extraction) -> Estimate:
    plan = source.connector().plan
    if plan is None:
        raise IngestError(f"{source.title} cannot be planned.")
    kept, _store = only_kept(run, _nothing)
    return await plan(kept)


async def _nothing(_page: Page) -> None:
    """Store nothing."""
