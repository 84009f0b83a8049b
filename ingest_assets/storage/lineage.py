"""How much the vendors' APIs were asked of late, and what the tables of names hold."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, func, select

from ingest_assets.storage.schema import DISCONNECTED, accounts, syncs

ANSWERED = syncs.c.error_kind.is_distinct_from("transient") & (syncs.c.api_calls > 0)


@dataclass(frozen=True)
class ApiUse:
    """A source's syncs since a moment."""

    accounts: int
    requests: int
    syncs: int
    failed: int
    last_answer: datetime | None
    """When a sync ended last that the vendor answered, be it with a refusal."""


@dataclass(frozen=True)
class TableState:
    """What a table holds, without what the vendor shows no more."""

    rows: int
    workspaces: int
    changed_at: datetime | None


def api_use(conn: Connection, since: datetime) -> dict[str, ApiUse]:
    """Sum up the syncs that ended since a moment, by source; of an index alone."""
    lately = (
        select(
            syncs.c.source,
            func.sum(syncs.c.api_calls).label("requests"),
            func.count().label("syncs"),
            func.count().filter(syncs.c.status == "failed").label("failed"),
            func.max(syncs.c.finished_at).filter(ANSWERED).label("last_answer"),
        )
        .where(syncs.c.finished_at >= since)
        .group_by(syncs.c.source)
        .subquery()
    )
    good = func.max(accounts.c.last_success_at)
    by_source = (
        select(
            accounts.c.source,
            func.count().label("accounts"),
            func.coalesce(func.max(lately.c.requests), 0).label("requests"),
            func.coalesce(func.max(lately.c.syncs), 0).label("syncs"),
            func.coalesce(func.max(lately.c.failed), 0).label("failed"),
            func.coalesce(func.max(lately.c.last_answer), good).label("last_answer"),
        )
        .outerjoin(lately, lately.c.source == accounts.c.source)
        .where(accounts.c.state != DISCONNECTED)
        .group_by(accounts.c.source)
    )
    return {row.source: ApiUse(*row[1:]) for row in conn.execute(by_source)}


def table_state(conn: Connection, table: Table) -> TableState:
    """Count a table. That reads it whole."""
    living = table.c.deleted_at.is_(None)
    return TableState(
        *conn.execute(
            select(
                func.count().filter(living),
                func.count(table.c.workspace_id.distinct()).filter(living),
                func.max(table.c.updated_at),
            )
        ).one()
    )
