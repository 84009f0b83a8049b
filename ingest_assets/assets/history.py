"""How far back a run reads: config of a partition run or a backfill, for all accounts of its workspaces."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from ingest_assets.errors import IngestError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.history import want_history
from ingest_assets.sync.worker import Worker
from ingest_assets.terminal import printable


class HistoryConfig(dg.Config):
    """From when on the accounts are read, from now on; nothing: as before."""

    history_days: float | None = Field(default=None, description="days before now")
    history_from: str | None = Field(default=None, description="a day (UTC) or a time, like 2025-01-01")

    def since(self, now: datetime) -> datetime | None:
        """Return the moment. Raises dg.Failure for one that is none, or lies ahead."""
        try:
            days = None if self.history_days is None else now - timedelta(days=self.history_days)
            day = None if self.history_from is None else datetime.fromisoformat(self.history_from)
        except (ValueError, OverflowError):
            raise dg.Failure("history_days or history_from is no time.", allow_retries=False) from None
        since = days if day is None else day if day.tzinfo else day.replace(tzinfo=UTC)
        if (days and day) or (since is not None and since >= now):
            raise dg.Failure("Give history_days or history_from, and a time that is over.", allow_retries=False)
        return since


def want_histories(
    log: dg.DagsterLogManager,
    source: Source,
    options: SourceOptions,
    worker: Worker,
    keys: Sequence[str],
    config: HistoryConfig,
) -> None:
    """Have the accounts of some workspaces read so far back; one that cannot be is told, and read as before."""
    now = worker.clock.now()
    since = config.since(now)
    if since is None:
        return
    with worker.engine.connect() as conn:
        rows = find_accounts(conn, source=source.name, workspace_ids=keys)
    for row in rows:
        try:
            want_history(worker.engine, source, row, options, since, now)
        except IngestError as error:
            log.warning("%s", printable(error))
