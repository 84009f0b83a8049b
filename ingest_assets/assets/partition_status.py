"""The status of a source's partitions as Dagster shows it, and when a run changes one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ingest_assets.sources.source import Source
from ingest_assets.sources.times import BEGINNING
from ingest_assets.storage import reports
from ingest_assets.storage.overview import any_read
from ingest_assets.sync.result import FAILED, PARTIAL, SUCCESS, SyncResult
from ingest_assets.sync.worker import Worker

HEARTBEAT = timedelta(days=1)
"""A batch materializes a partition when something changed, and otherwise so often: an event costs more than a
sync that finds nothing new, and when a workspace was last read its checks tell."""


def has_news(summary: Mapping[str, Any]) -> bool:
    """Tell whether a report is about more than a look that found nothing."""
    counted = ("total_ingested", "deleted", "rejected")
    return summary["status"] == FAILED or any(summary[count] for count in counted)


class PartitionStatus:
    """The partitions of a run. One of its own that fails, or is killed, Dagster itself shows as red."""

    def __init__(self, one: Worker, source: Source, keys: Sequence[str], *, batch: bool) -> None:
        self._one, self._source, self._batch = one, source, batch
        with one.engine.connect() as conn:
            self._before = reports.partitions_shown(conn, source.name, keys)
        if not batch:  # red until the run says otherwise: one that is killed cannot say anything
            self._note(keys, one.clock.now(), failed=True)

    def needs_event(self, workspace_id: str, summary: Mapping[str, Any]) -> bool:
        """Whether a good sync is worth an event."""
        before = self._before.get(workspace_id)
        if not self._batch or before is None:
            return True
        red, since = before
        return red or has_news(summary) or self._one.clock.now() - since >= HEARTBEAT

    def fails(self, workspace_id: str, results: Sequence[SyncResult]) -> bool:
        """Whether the run has to fail for a workspace: none of its accounts can be read, or this process cannot.

        An account of which a batch saw that it fails gets a run of its own. An account that waits for its turn,
        and did not fail, can be read.
        """
        failing = [result for result in results if result.status == FAILED]
        if not failing or any(result.by_process for result in failing):
            return bool(failing)
        if self._batch or any(result.status in {SUCCESS, PARTIAL} for result in results):
            return False
        with self._one.engine.connect() as conn:
            return not any_read(conn, self._source.name, workspace_id)

    def succeed(self, workspace_id: str) -> None:
        """Note a materialization that comes next, which hides what was reported of the partition's checks."""
        with self._one.engine.begin() as conn:
            reports.forget_reported(conn, self._source.name, [workspace_id])
            self._save(conn, [workspace_id], self._one.clock.now(), failed=False)

    def unchanged(self, workspace_id: str) -> None:
        """Note that nothing was read: the status stays as it was."""
        if not self._batch:
            red, since = self._before.get(workspace_id, (False, BEGINNING))
            self._note([workspace_id], since, failed=red)

    def _note(self, keys: Iterable[str], since: datetime, *, failed: bool) -> None:
        with self._one.engine.begin() as conn:
            self._save(conn, keys, since, failed=failed)

    def _save(self, conn: Connection, keys: Iterable[str], since: datetime, *, failed: bool) -> None:
        reports.save_partitions_shown(conn, self._source.name, keys, since, failed=failed)
