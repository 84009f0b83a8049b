"""What operators decide on held rows: which there are, and what was decided on each."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, select, update

from ingest_assets.storage.account_leases import HELD, Lease
from ingest_assets.storage.deletion_tables import held_deletions
from ingest_assets.storage.schema import ACTIVE, DISCONNECTED, FAILING, StoredRow, accounts

FIRST_WORDS = 80  # characters
_WAITING = held_deletions.c.decision.is_(None)
# what a sync leaves that could not mark its deletions, as after a success of which nobody knows when
_RECOVER = (
    update(accounts)
    .where(HELD, accounts.c.state == FAILING, accounts.c.error_kind == "deletions_held")
    .values(
        state=ACTIVE,
        state_since=func.now(),
        reason=None,
        attempts=0,
        error_kind=None,
        error_since=None,
        due_at=func.now(),
    )
)


def find_held(
    conn: Connection,
    workspace_id: str,
    *,
    source: str | None = None,
    account: str | None = None,
    decision: str | None = None,
    review: str | None = None,
) -> Sequence[StoredRow]:
    """Return held rows of connected accounts with a decision, or without one, in the order of being held.

    Columns: those of the table, `source`, and `account`, its name.
    """
    query = (
        select(held_deletions, accounts.c.source, accounts.c.name.label("account"))
        .join(accounts, accounts.c.account_id == held_deletions.c.account_id)
        .where(held_deletions.c.workspace_id == workspace_id, accounts.c.state != DISCONNECTED)
        .where(_WAITING if decision is None else held_deletions.c.decision == decision)
        .order_by(held_deletions.c.held_id)
    )
    given = ((accounts.c.source, source), (accounts.c.name, account), (held_deletions.c.review, review))
    for column, value in given:
        query = query if value is None else query.where(column == value)
    return conn.execute(query).all()


def decide(
    conn: Connection, held_ids: Sequence[int], decision: str, review: str, *, before: str | None
) -> Sequence[StoredRow]:
    """Note a decision on those rows that still stand as `before`; return their table_name and external_id."""
    chosen = held_deletions.c.held_id == func.any(list(held_ids))
    as_before = _WAITING if before is None else held_deletions.c.decision == before
    return conn.execute(
        update(held_deletions)
        .where(chosen, as_before)
        .values(decision=decision, decided_at=func.now(), review=review)
        .returning(held_deletions.c.table_name, held_deletions.c.external_id)
    ).all()


def forget_held(conn: Connection, held_ids: Sequence[int]) -> None:
    """Drop rows whatever was decided."""
    conn.execute(delete(held_deletions).where(held_deletions.c.held_id == func.any(list(held_ids))))


def recover(conn: Connection, lease: Lease) -> None:
    """Make an account active and due that failed for held deletions, once none of them waits."""
    waits = select(held_deletions.c.held_id).where(held_deletions.c.account_id == lease.account_id, _WAITING)
    if conn.execute(waits.limit(1)).first() is None:
        conn.execute(_RECOVER, lease.key)


def sample(conn: Connection, table: Table, held_ids: Sequence[int], most: int) -> tuple[Any, Sequence[Any]]:
    """Return the first and the last time of a table's held rows, and some of these with their first words."""
    joined = and_(
        table.c.account_id == held_deletions.c.account_id,
        table.c.external_id == held_deletions.c.external_id,
        held_deletions.c.table_name == table.name,
        held_deletions.c.held_id == func.any(list(held_ids)),
    )
    span = select(func.min(table.c.occurred_at).label("first"), func.max(table.c.occurred_at).label("last"))
    words = func.left(table.c.text, FIRST_WORDS).label("words")
    some = (
        select(table.c.external_id, table.c.occurred_at, words)
        .join(held_deletions, joined)
        .order_by(table.c.occurred_at, table.c.external_id)
        .limit(most)
    )
    return conn.execute(span.join(held_deletions, joined)).one(), conn.execute(some).all()
