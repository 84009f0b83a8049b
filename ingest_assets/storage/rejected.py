"""Queries on rejected items: items that could not be parsed or stored."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, tuple_, update

from ingest_assets.storage.schema import DISCONNECTED, StoredRow, accounts, rejected_records

_KEY = tuple_(rejected_records.c.account_id, rejected_records.c.table_name, rejected_records.c.item_key)


def find_rejected(
    conn: Connection,
    *,
    workspace_id: str | None = None,
    source: str | None = None,
    items: Sequence[str] = (),
) -> Sequence[Any]:
    """Return what is set aside without its payload, oldest first, of accounts that are connected.

    Columns: those of `ingest.rejected_records`, `source`, and `account`, its name.
    """
    columns = [column for column in rejected_records.c if column.name != "payload"]
    query = (
        select(*columns, accounts.c.source, accounts.c.name.label("account"))
        .join(accounts, accounts.c.account_id == rejected_records.c.account_id)
        .where(accounts.c.state != DISCONNECTED)
        .order_by(rejected_records.c.first_seen_at, *rejected_records.primary_key)
    )
    if workspace_id is not None:
        query = query.where(rejected_records.c.workspace_id == workspace_id)
    if source is not None:
        query = query.where(accounts.c.source == source)
    if items:
        query = query.where(rejected_records.c.item_key == func.any(list(items)))
    return conn.execute(query).all()


def rejected_by_account(conn: Connection) -> dict[int, int]:
    """Count what is set aside, by account."""
    query = select(rejected_records.c.account_id, func.count().label("items")).group_by(
        rejected_records.c.account_id
    )
    return {row.account_id: row.items for row in conn.execute(query)}


def load_rejected(conn: Connection, rows: Sequence[StoredRow]) -> Sequence[StoredRow]:
    """Return those of some rejected items that are still there, whole."""
    keys = [(row.account_id, row.table_name, row.item_key) for row in rows]
    return conn.execute(select(rejected_records).where(_KEY.in_(keys))).all()


def stored_as(conn: Connection, table: Table, account_id: int, items: Sequence[str]) -> dict[str, StoredRow]:
    """Return the rows that are stored under the ids of some items, deleted ones too."""
    query = select(table).where(table.c.account_id == account_id, table.c.external_id == func.any(list(items)))
    return {row.external_id: row for row in conn.execute(query)}


def note_reason(conn: Connection, row: StoredRow, reason: str) -> None:
    """Replace the reason of a rejected item."""
    key = (row.account_id, row.table_name, row.item_key)
    conn.execute(update(rejected_records).where(tuple_(*key) == _KEY).values(error=reason))


def discard_rejected(conn: Connection, rows: Sequence[StoredRow]) -> int:
    """Drop rejected items; return how many there were."""
    keys = [(row.account_id, row.table_name, row.item_key) for row in rows]
    return conn.execute(delete(rejected_records).where(_KEY.in_(keys))).rowcount
