"""What Dagster was told: which partitions are red, and what was last reported of each workspace's check."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import check_reports, partition_reports


def reported(
    conn: Connection, source: str, workspace_ids: Sequence[str] | None
) -> dict[tuple[str, str], tuple[bool, str]]:
    """Return what was last reported to Dagster, by (workspace, check)."""
    query = select(check_reports).where(check_reports.c.source == source)
    if workspace_ids is not None:
        query = query.where(check_reports.c.workspace_id == func.any(list(workspace_ids)))
    return {(row.workspace_id, row.check_name): (row.passed, row.reason) for row in conn.execute(query)}


def save_reported(conn: Connection, source: str, reports: Sequence[tuple[str, str, bool, str]]) -> None:
    """Remember what was reported: (workspace, check, passed, reason)."""
    if not reports:
        return
    statement = insert(check_reports)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=list(check_reports.primary_key),
            set_={
                "passed": statement.excluded.passed,
                "reason": statement.excluded.reason,
                "reported_at": func.now(),
            },
        ),
        [
            {
                "workspace_id": workspace_id,
                "source": source,
                "check_name": name,
                "passed": passed,
                "reason": reason,
            }
            for workspace_id, name, passed, reason in reports
        ],
    )


def forget_reported(conn: Connection, source: str, workspace_ids: Sequence[str]) -> None:
    """Make the checks of some workspaces count as not reported: a materialization is about to hide them."""
    conn.execute(
        delete(check_reports).where(
            check_reports.c.source == source, check_reports.c.workspace_id == func.any(list(workspace_ids))
        )
    )


def any_reported(conn: Connection, source: str, check_name: str) -> tuple[str, bool, str] | None:
    """Return a report (workspace, passed, reason), a failed one if there is any; None if nothing was reported."""
    row = conn.execute(
        select(check_reports.c.workspace_id, check_reports.c.passed, check_reports.c.reason)
        .where(check_reports.c.source == source, check_reports.c.check_name == check_name)
        .order_by(check_reports.c.passed, check_reports.c.reported_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.workspace_id, row.passed, row.reason)


def partitions_shown(
    conn: Connection, source: str, workspace_ids: Sequence[str]
) -> dict[str, tuple[bool, datetime]]:
    """Return what Dagster's partitions show: workspace -> (red, since when)."""
    rows = conn.execute(
        select(partition_reports).where(
            partition_reports.c.source == source,
            partition_reports.c.workspace_id == func.any(list(workspace_ids)),
        )
    )
    return {row.workspace_id: (row.failed, row.reported_at) for row in rows}


def save_partitions_shown(
    conn: Connection, source: str, workspace_ids: Iterable[str], now: datetime, *, failed: bool
) -> None:
    """Remember that partitions turned green or red."""
    statement = insert(partition_reports)
    rows = [
        {"workspace_id": workspace_id, "source": source, "failed": failed, "reported_at": now}
        for workspace_id in workspace_ids
    ]
    if rows:
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=list(partition_reports.primary_key),
                set_={"failed": statement.excluded.failed, "reported_at": statement.excluded.reported_at},
            ),
            rows,
        )
