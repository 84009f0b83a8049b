"""What the squares of a source's partitions show, and when a run turns one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest_assets.sources.source import Source
from ingest_assets.sources.times import BEGINNING
from ingest_assets.storage import overview
from ingest_assets.sync import Worker
from ingest_assets.verdict import FAILED

HEARTBEAT = timedelta(hours=1)
"""A batch materialises a partition when something changed, and otherwise so often: an event costs more than a
sync that finds nothing new."""


def has_news(summary: Mapping[str, Any]) -> bool:
    """Tell whether a report is about more than a look that found nothing."""
    counted = ("total_ingested", "deleted", "rejected")
    return summary["status"] == FAILED or any(summary[count] for count in counted)


class Squares:
    """The partitions of a run. One of its own that fails, or is killed, Dagster itself shows as red."""

    def __init__(self, one: Worker, source: Source, keys: Sequence[str], *, batch: bool) -> None:
        self._one, self._source, self._batch = one, source, batch
        with one.engine.connect() as conn:
            self._before = overview.partitions_shown(conn, source.name, keys)
        if not batch:  # red until the run says otherwise: one that is killed cannot say anything
            self._note(keys, one.clock.now(), failed=True)

    def worth_turning(self, workspace_id: str, summary: Mapping[str, Any]) -> bool:
        """Whether a good sync is worth an event."""
        before = self._before.get(workspace_id)
        if not self._batch or before is None:
            return True
        red, since = before
        heartbeat = min(HEARTBEAT, timedelta(minutes=self._one.core.freshness_minutes) / 2)
        return red or has_news(summary) or self._one.clock.now() - since >= heartbeat

    def green(self, workspace_id: str) -> None:
        """Note a materialisation."""
        self._note([workspace_id], self._one.clock.now(), failed=False)

    def untouched(self, workspace_id: str) -> None:
        """Note that nothing was read: the square stays as it was."""
        if not self._batch:
            red, since = self._before.get(workspace_id, (False, BEGINNING))
            self._note([workspace_id], since, failed=red)

    def _note(self, keys: Iterable[str], since: datetime, *, failed: bool) -> None:
        with self._one.engine.begin() as conn:
            overview.save_partitions_shown(conn, self._source.name, keys, since, failed=failed)
