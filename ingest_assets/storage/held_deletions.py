"""Rows that a vendor shows no more and that no sync may mark by itself: held, shown again, counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, exists, func, select, text

from ingest_assets.storage.deletion_tables import ACCEPTED, REFUSED, held_deletions
from ingest_assets.storage.schema import StoredRow

_LOAD = select(held_deletions.c.table_name, held_deletions.c.external_id, held_deletions.c.decision).where(
    held_deletions.c.account_id == bindparam("account")
)
_HOLD = text("""
    insert into ingest.held_deletions (account_id, workspace_id, part, table_name, external_id, flagged)
    select :account_id, :workspace_id, :part, *
    from unnest(cast(:tables as text[]), cast(:ids as text[]), cast(:flags as bool[]))
    on conflict (account_id, table_name, external_id) do update set last_seen_at = now()
    where held_deletions.decision is null
""")


@dataclass(frozen=True)
class HeldRow:
    """A row that is to be held."""

    table: Table
    external_id: str
    flagged: bool = False


def load_held(conn: Connection, account_id: int) -> Sequence[Any]:
    """Return table_name, external_id and decision of an account's held rows."""
    return conn.execute(_LOAD, {"account": account_id}).all()


def forget_settled(conn: Connection, account_id: int, tables: Sequence[Table]) -> None:
    """Drop what no longer agrees with its row: one that is gone, or was marked or shown by others."""
    for table in tables:
        as_held = exists().where(
            table.c.account_id == held_deletions.c.account_id,
            table.c.external_id == held_deletions.c.external_id,
            table.c.deleted_at.is_(None) == held_deletions.c.decision.is_distinct_from(ACCEPTED),
        )
        whose = and_(held_deletions.c.account_id == account_id, held_deletions.c.table_name == table.name)
        conn.execute(delete(held_deletions).where(whose, ~as_held))


def hold(conn: Connection, account_id: int, workspace_id: str, part: str, rows: Sequence[HeldRow]) -> None:
    """Keep rows for a decision; those that wait already keep their place."""
    once = {
        (row.table.name, row.external_id): row.flagged for row in rows
    }  # a walk and a thread may both miss one
    if once:
        given = {
            "tables": [table for table, _id in once],
            "ids": [external_id for _table, external_id in once],
            "flags": list(once.values()),
        }
        conn.execute(_HOLD, {"account_id": account_id, "workspace_id": workspace_id, "part": part, **given})


def release(conn: Connection, account_id: int, table: Table, external_ids: Sequence[str]) -> None:
    """Drop rows that the vendor shows again, whatever was decided."""
    conn.execute(
        delete(held_deletions).where(
            held_deletions.c.account_id == account_id,
            held_deletions.c.table_name == table.name,
            held_deletions.c.external_id == func.any(list(external_ids)),
        )
    )


def held_by_account(conn: Connection) -> Sequence[StoredRow]:
    """Count held rows: (account_id, waiting, kept, decided_at, the last time that any were kept)."""
    waits, kept = held_deletions.c.decision.is_(None), held_deletions.c.decision == REFUSED
    return conn.execute(
        select(
            held_deletions.c.account_id,
            func.count().filter(waits).label("waiting"),
            func.count().filter(kept).label("kept"),
            func.max(held_deletions.c.decided_at).filter(kept).label("decided_at"),
        )
        .where(held_deletions.c.decision.is_distinct_from(ACCEPTED))
        .group_by(held_deletions.c.account_id)
    ).all()
