"""What is stored already, for sources that compare before they ask the vendor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, literal, select, union_all

from ingest_assets.storage.schema import (
    DISCONNECTED,
    NEEDS_RECONNECT,
    ColumnsView,
    StoredRow,
    accounts,
    rejected_records,
)

_ANY_REJECTED = (
    select(rejected_records.c.item_key).where(rejected_records.c.account_id == bindparam("account")).limit(1)
)


def stored(
    conn: Connection, table: Table, account_id: int, external_ids: Sequence[str], columns: Sequence[str]
) -> dict[str, StoredRow]:
    """Return the named columns of rows by external id; rows that are not stored are absent."""
    rows = conn.execute(
        select(table.c.external_id, *(table.c[name] for name in columns)).where(
            table.c.account_id == account_id, table.c.external_id == func.any(list(external_ids))
        )
    )
    return {row.external_id: row for row in rows}


def stored_of_workspace(conn: Connection, table: Table, workspace_id: str) -> tuple[int, datetime | None]:
    """Count a workspace's living rows, and return when the newest of them happened."""
    living = select(func.count(), func.max(table.c.occurred_at)).where(
        table.c.workspace_id == workspace_id, table.c.deleted_at.is_(None)
    )
    rows, newest = conn.execute(living).one()
    return rows, newest


def stored_in_workspace(
    conn: Connection, table: Table, workspace_id: str, external_ids: Sequence[str], columns: Sequence[str]
) -> dict[str, StoredRow]:
    """Return the same for records that the accounts of a workspace share.

    `works`: whether the row's account can be read.
    """
    wanted: list[ColumnElement[Any]] = [table.c[name] for name in ("external_id", *columns)]
    wanted.append(accounts.c.state.not_in([NEEDS_RECONNECT, DISCONNECTED]).label("works"))
    rows = conn.execute(
        select(*wanted)
        .join(accounts, accounts.c.account_id == table.c.account_id)
        .where(table.c.workspace_id == workspace_id, table.c.external_id == func.any(list(external_ids)))
    )
    return {row.external_id: row for row in rows}


def stored_values(
    conn: Connection,
    table: Table,
    account_id: int,
    sought: Sequence[tuple[ColumnsView, str]],
    *,
    after: str,
    before: str,
) -> list[set[str]]:
    """For each (what has to match, column): the column's different values in living rows, strictly between two."""
    queries = [
        select(literal(place), table.c[column])
        .distinct()
        .where(*_living(table, account_id, equal), table.c[column] > after, table.c[column] < before)
        for place, (equal, column) in enumerate(sought)
    ]
    found: list[set[str]] = [set() for _ in sought]
    for place, value in conn.execute(union_all(*queries)):
        found[place].add(value)
    return found


def any_rejected(conn: Connection, account_id: int) -> bool:
    """Tell whether any item of the account is set aside."""
    return conn.execute(_ANY_REJECTED, {"account": account_id}).first() is not None


def count_stored(
    conn: Connection, table: Table, account_id: int, equal: ColumnsView, *, column: str, after: str
) -> int:
    """Count living rows whose `column` is greater than a value."""
    return conn.execute(
        select(func.count()).select_from(table).where(*_living(table, account_id, equal), table.c[column] > after)
    ).scalar_one()


def greatest(conn: Connection, table: Table, account_id: int, equal: ColumnsView, *, column: str) -> str | None:
    """Return the greatest value of a column in living rows that match."""
    query = select(func.max(table.c[column])).where(*_living(table, account_id, equal))
    found: str | None = conn.execute(query).scalar_one()
    return found


def rows_where(
    conn: Connection, table: Table, account_id: int, equal: ColumnsView, columns: Sequence[str]
) -> Sequence[StoredRow]:
    """Return the named columns of living rows that match."""
    return conn.execute(
        select(*(table.c[name] for name in columns)).where(*_living(table, account_id, equal))
    ).all()


def rows_in(
    conn: Connection, table: Table, account_id: int, column: str, values: Sequence[object], columns: Sequence[str]
) -> Sequence[StoredRow]:
    """Return the named columns of living rows whose `column` has one of some values."""
    return conn.execute(
        select(*(table.c[name] for name in columns)).where(
            *_living(table, account_id, {}), table.c[column] == func.any(list(values))
        )
    ).all()


def rows_since(
    conn: Connection, table: Table, account_id: int, column: str, since: object, columns: Sequence[str]
) -> Sequence[StoredRow]:
    """Return the named columns of living rows whose `column` is not less than a value."""
    return conn.execute(
        select(*(table.c[name] for name in columns)).where(
            *_living(table, account_id, {}), table.c[column] >= since
        )
    ).all()


def ids_between(
    conn: Connection, table: Table, account_id: int, column: str, since: object, until: object
) -> set[str]:
    """Return the living rows whose `column` lies between two values, the second excluded."""
    return set(
        conn.execute(
            select(table.c.external_id).where(
                *_living(table, account_id, {}), table.c[column] >= since, table.c[column] < until
            )
        ).scalars()
    )


def _living(table: Table, account_id: int, equal: ColumnsView) -> list[Any]:
    return [
        table.c.account_id == account_id,
        table.c.deleted_at.is_(None),
        *(table.c[name] == value for name, value in equal.items()),
    ]
