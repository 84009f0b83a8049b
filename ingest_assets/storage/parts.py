"""Parts of accounts that could not be read: noted with the page that tells, dropped once they were."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import DISCONNECTED, ColumnsView, StoredRow, accounts, unreadable_parts

_LOAD = select(unreadable_parts).where(unreadable_parts.c.account_id == bindparam("account"))
_INSERT = insert(unreadable_parts)
_SAVE = _INSERT.on_conflict_do_update(
    index_elements=["account_id", "part"],
    # acknowledged_at stays: an operator may have said so meanwhile
    set_={
        name: _INSERT.excluded[name]
        for name in ("name", "code", "action", "since", "attempts", "due_at", "last_tried_at", "left_at")
    },
)


def load_parts(conn: Connection, account_id: int) -> Sequence[StoredRow]:
    """Return an account's unreadable parts, acknowledged ones included."""
    return conn.execute(_LOAD, {"account": account_id}).all()


def find_parts(
    conn: Connection, source: str, workspace_id: str, account: str | None = None
) -> Sequence[StoredRow]:
    """Return the unreadable parts of a workspace's accounts, or of the one with a name, longest first."""
    query = (
        select(unreadable_parts, accounts.c.source, accounts.c.name.label("account"))
        .join(accounts, accounts.c.account_id == unreadable_parts.c.account_id)
        .where(accounts.c.source == source, accounts.c.workspace_id == workspace_id)
        .where(accounts.c.state != DISCONNECTED)
        .order_by(unreadable_parts.c.since, unreadable_parts.c.name, unreadable_parts.c.part)
    )
    return conn.execute(query if account is None else query.where(accounts.c.name == account)).all()


def first_open(conn: Connection, most: int) -> Sequence[StoredRow]:
    """Return the longest unreadable parts of each account, at most so many, but for acknowledged ones.

    The column `total` counts all of the account's.
    """
    whose = unreadable_parts.c.account_id
    ranked = (
        select(
            unreadable_parts,
            func.count().over(partition_by=whose).label("total"),
            func.row_number()
            .over(partition_by=whose, order_by=(unreadable_parts.c.since, unreadable_parts.c.name))
            .label("place"),
        )
        .where(unreadable_parts.c.acknowledged_at.is_(None))
        .subquery()
    )
    return conn.execute(
        select(ranked).where(ranked.c.place <= most).order_by(ranked.c.account_id, ranked.c.place)
    ).all()


def save_parts(conn: Connection, rows: Sequence[ColumnsView]) -> None:
    """Note that parts could not be read; each row holds the table's columns."""
    if rows:
        conn.execute(_SAVE, [dict(row) for row in sorted(rows, key=lambda row: str(row["part"]))])


def forget_parts(conn: Connection, account_id: int, parts: Sequence[str]) -> None:
    """Drop parts that were read to their end."""
    if parts:
        conn.execute(
            delete(unreadable_parts).where(
                unreadable_parts.c.account_id == account_id, unreadable_parts.c.part == func.any(list(parts))
            )
        )


def acknowledge(conn: Connection, account_id: int, parts: Sequence[str], now: datetime) -> int:
    """Take parts out of what makes an account partial, until they were read again; return how many there were."""
    return conn.execute(
        update(unreadable_parts)
        .where(unreadable_parts.c.account_id == account_id, unreadable_parts.c.part == func.any(list(parts)))
        .values(acknowledged_at=now)
    ).rowcount
