"""What operators ask: how is each account, and is each workspace fresh?"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, case, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import DISCONNECTED, PAUSED, accounts, check_reports, rejected_records, syncs


def account_overview(conn: Connection, tables: dict[str, Table], since: datetime) -> Sequence[Any]:
    """Give a row an account: its state, its stored rows, and its API calls since a moment."""
    calls = (
        select(
            syncs.c.account_id,
            func.sum(syncs.c.summary["api_calls"].as_integer()).label("api_calls"),
        )
        .where(syncs.c.started_at >= since)
        .group_by(syncs.c.account_id)
        .subquery()
    )
    rows = {
        source: select(func.count())
        .where(table.c.account_id == accounts.c.account_id, table.c.deleted_at.is_(None))
        .scalar_subquery()
        for source, table in tables.items()
    }
    return conn.execute(
        select(
            accounts.c.workspace_id,
            accounts.c.source,
            accounts.c.external_id,
            accounts.c.name,
            accounts.c.state,
            accounts.c.reason,
            accounts.c.attempts,
            accounts.c.next_attempt_at,
            accounts.c.last_sync_at,
            accounts.c.last_success_at,
            (accounts.c.lease_until > func.now()).label("syncing"),
            case(*((accounts.c.source == source, count) for source, count in rows.items()), else_=0).label("rows"),
            func.coalesce(calls.c.api_calls, 0).label("api_calls"),
        )
        .outerjoin(calls, calls.c.account_id == accounts.c.account_id)
        .where(accounts.c.state != DISCONNECTED)
        .order_by(accounts.c.workspace_id, accounts.c.source, accounts.c.name)
    ).all()


def calls_since(conn: Connection, source: str, external_id: str, since: datetime) -> int:
    """Count the requests of finished syncs, of all accounts that share one limit of the vendor."""
    found = conn.execute(
        select(func.sum(syncs.c.summary["api_calls"].as_integer()))
        .join(accounts, accounts.c.account_id == syncs.c.account_id)
        .where(accounts.c.source == source, accounts.c.external_id == external_id, syncs.c.started_at >= since)
    ).scalar()
    return int(found or 0)


def health(conn: Connection, source: str, now: datetime, objective: timedelta) -> Sequence[Row[Any]]:
    """Give all workspaces of a source in one statement.

    Columns: workspace_id, last_success_at (of the account that waits longest), fresh, reason, rejected, seen.
    """
    rejected = (
        select(rejected_records.c.account_id, func.count().label("rejected"))
        .group_by(rejected_records.c.account_id)
        .subquery()
    )
    written = (
        select(
            syncs.c.account_id,
            func.sum(syncs.c.summary["total_ingested"].as_integer()).label("written"),
        )
        .group_by(syncs.c.account_id)
        .subquery()
    )
    oldest = case(
        (func.bool_or(accounts.c.last_success_at.is_(None)), None), else_=func.min(accounts.c.last_success_at)
    )
    return conn.execute(
        select(
            accounts.c.workspace_id,
            oldest.label("last_success_at"),
            func.coalesce(oldest >= now - objective, literal(False)).label("fresh"),
            func.string_agg(accounts.c.reason, "; ").filter(accounts.c.reason.is_not(None)).label("reason"),
            func.coalesce(func.sum(rejected.c.rejected), 0).label("rejected"),
            func.coalesce(func.sum(written.c.written), 0).label("written"),
        )
        .outerjoin(rejected, rejected.c.account_id == accounts.c.account_id)
        .outerjoin(written, written.c.account_id == accounts.c.account_id)
        .where(and_(accounts.c.source == source, accounts.c.state.not_in([DISCONNECTED, PAUSED])))
        .group_by(accounts.c.workspace_id)
        .order_by(accounts.c.workspace_id)
    ).all()


def reported(conn: Connection, source: str) -> dict[tuple[str, str], tuple[bool, str]]:
    """Give what was last reported to Dagster, by (workspace, check)."""
    rows = conn.execute(select(check_reports).where(check_reports.c.source == source))
    return {(row.workspace_id, row.check_name): (row.passed, row.reason) for row in rows}


def save_reported(conn: Connection, source: str, reports: Sequence[tuple[str, str, bool, str]]) -> None:
    """Remember what was reported: (workspace, check, passed, reason)."""
    if not reports:
        return
    statement = insert(check_reports).values(
        [
            {
                "workspace_id": workspace_id,
                "source": source,
                "check_name": name,
                "passed": passed,
                "reason": reason,
            }
            for workspace_id, name, passed, reason in reports
        ]
    )
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=list(check_reports.primary_key),
            set_={
                "passed": statement.excluded.passed,
                "reason": statement.excluded.reason,
                "reported_at": func.now(),
            },
        )
    )
