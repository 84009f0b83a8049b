"""What operators ask: how each account and each workspace is, and what Dagster knows of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from ingest_assets.storage.schema import (
    DISCONNECTED,
    FAILING,
    NEEDS_RECONNECT,
    PAUSED,
    StoredRow,
    accounts,
    rejected_records,
    syncs,
)

STATE_RANKS = {"active": 0, "retrying": 1, "failing": 2, "needs_reconnect": 3}
"""States of an account by severity; a workspace has the worst of its accounts'."""


def _utc(moment: object, form: str) -> ColumnElement[str]:
    return func.to_char(func.timezone("UTC", moment), form)


_STATE = case(
    (accounts.c.state.in_([NEEDS_RECONNECT, FAILING, PAUSED]), accounts.c.state),
    (accounts.c.attempts > 0, "retrying"),
    else_="active",
)
_READ = and_(_STATE == "active", accounts.c.last_success_at.is_not(None))
_SINCE = _utc(accounts.c.state_since, '" (since "YYYY-MM-DD HH24:MI" UTC)"')
_UNTIL = _utc(accounts.c.due_at, '" (next try at "YYYY-MM-DD HH24:MI" UTC)"')
_WORDS = case(
    (accounts.c.state == NEEDS_RECONNECT, accounts.c.reason + _SINCE),
    (and_(accounts.c.attempts > 0, accounts.c.due_at.is_not(None)), accounts.c.reason + _UNTIL),
    (accounts.c.state == FAILING, accounts.c.reason + _SINCE),
    else_=accounts.c.reason,
)
"""The account's reason, with the moment that goes with it."""


def account_overview(conn: Connection, tables: dict[str, Table], since: datetime) -> Sequence[Any]:
    """Return one row per account: its state, its stored rows, and its API calls since a moment."""
    calls = (
        select(syncs.c.account_id, func.sum(syncs.c.api_calls).label("api_calls"))
        .where(syncs.c.finished_at >= since)
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
            accounts.c.account_id,
            accounts.c.workspace_id,
            accounts.c.source,
            accounts.c.external_id,
            accounts.c.name,
            _STATE.label("state"),
            _WORDS.label("reason"),
            accounts.c.state_since,
            accounts.c.error_since,
            accounts.c.due_at,
            accounts.c.last_success_at,
            accounts.c.lease_until,
            accounts.c.stage,
            case(*((accounts.c.source == source, count) for source, count in rows.items()), else_=0).label("rows"),
            func.coalesce(calls.c.api_calls, 0).label("api_calls"),
        )
        .outerjoin(calls, calls.c.account_id == accounts.c.account_id)
        .where(accounts.c.state != DISCONNECTED)
        .order_by(accounts.c.workspace_id, accounts.c.source, accounts.c.name)
    ).all()


def unready_by_account(conn: Connection, tables: Iterable[Table], states: Sequence[str]) -> dict[int, int]:
    """Count stored conversations whose transcript has one of some states, by account, of tables that know them."""
    found: dict[int, int] = {}
    for table in tables:
        if "transcript_state" not in table.columns:
            continue
        waits = table.c.transcript_state.in_(states), table.c.deleted_at.is_(None)
        query = select(table.c.account_id, func.count().label("rows")).where(*waits).group_by(table.c.account_id)
        found |= {row.account_id: row.rows for row in conn.execute(query)}
    return found


def account_states(conn: Connection) -> Sequence[StoredRow]:
    """Count accounts: (workspace_id, source, state, accounts), without the disconnected ones."""
    return conn.execute(
        select(accounts.c.workspace_id, accounts.c.source, _STATE.label("state"), func.count().label("accounts"))
        .where(accounts.c.state != DISCONNECTED)
        .group_by(accounts.c.workspace_id, accounts.c.source, _STATE)
        .order_by(accounts.c.workspace_id, accounts.c.source)
    ).all()


def health(
    conn: Connection,
    tables: Mapping[str, Table],
    now: datetime,
    objective: timedelta,
    *,
    telling: int,
    source: str | None = None,
    workspace_ids: Sequence[str] | None = None,
) -> Sequence[Any]:
    """Return one row per workspace and source in one statement, without paused and disconnected accounts.

    Columns: workspace_id, source, accounts (how many), read (those that were read and did not fail since),
    last_success_at (of the account that waits longest; null if one never succeeded), fresh, state (the worst of
    `STATE_RANKS`), reason (in words, with the account's name where there are several; null if there is nothing
    to say), rejected (items kept aside), stored (rows in the source's table, counted up to `telling` for each
    rejected item, beyond which they change nothing).
    """
    wanted: list[ColumnElement[bool]] = [accounts.c.state.not_in([DISCONNECTED, PAUSED])]
    if source is not None:
        wanted.append(accounts.c.source == source)
    if workspace_ids is not None:
        wanted.append(accounts.c.workspace_id == func.any(list(workspace_ids)))
    oldest = case(
        (func.bool_or(accounts.c.last_success_at.is_(None)), None), else_=func.min(accounts.c.last_success_at)
    )
    rank = func.max(case(STATE_RANKS, value=_STATE))
    by_name: Any = aggregate_order_by(literal_column("'; '"), accounts.c.name)
    one = (
        select(
            accounts.c.workspace_id,
            accounts.c.source,
            func.array_agg(accounts.c.account_id).label("account_ids"),
            oldest.label("last_success_at"),
            func.coalesce(oldest >= now - objective, literal(False)).label("fresh"),
            case({number: name for name, number in STATE_RANKS.items()}, value=rank).label("state"),
            case(
                (func.count() > 1, func.string_agg(accounts.c.name + ": " + _WORDS, by_name)),
                else_=func.string_agg(_WORDS, by_name),
            ).label("reason"),
            func.count().label("accounts"),
            func.count().filter(_READ).label("read"),
        )
        .where(*wanted)
        .group_by(accounts.c.workspace_id, accounts.c.source)
        .subquery()
    )
    rejected = (
        select(func.count())
        .where(rejected_records.c.account_id == func.any(one.c.account_ids))
        .correlate(one)
        .scalar_subquery()
    )
    stored = {
        name: select(func.count())
        .select_from(
            select(literal(1))
            .where(table.c.account_id == func.any(one.c.account_ids))
            .correlate(one)
            .limit(telling * rejected)
            .subquery()
        )
        .scalar_subquery()
        for name, table in tables.items()
    }
    of_source = case(*((one.c.source == name, count) for name, count in stored.items()), else_=0)
    columns = [column for column in one.c if column.name != "account_ids"]
    return conn.execute(
        select(*columns, rejected.label("rejected"), of_source.label("stored")).order_by(
            one.c.workspace_id, one.c.source
        )
    ).all()


def any_read(conn: Connection, source: str, workspace_id: str) -> bool:
    """Whether a workspace has an account that was read and did not fail since."""
    return conn.execute(
        select(exists().where(accounts.c.source == source, accounts.c.workspace_id == workspace_id, _READ))
    ).scalar_one()


def stored_of_workspace(conn: Connection, table: Table, workspace_id: str) -> tuple[int, datetime | None]:
    """Count a workspace's living rows, and return when the newest of them happened."""
    living = select(func.count(), func.max(table.c.occurred_at)).where(
        table.c.workspace_id == workspace_id, table.c.deleted_at.is_(None)
    )
    rows, newest = conn.execute(living).one()
    return rows, newest
