"""Items that several logins of a workspace see: their row is one login's, and the others' sightings are noted.

Where the login that holds a row is shown the item no more, the row goes to one that was: it may still be there.
"""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)

from ingest_assets.storage.schema import DISCONNECTED, NEEDS_RECONNECT, accounts, metadata, timestamp

sightings = Table(
    "sightings",
    metadata,
    Column("account_id", BigInteger, primary_key=True, comment="of ingest.accounts: the login that sees the item"),
    Column("table_name", Text, primary_key=True, comment="the table of schema raw that the item's row stands in"),
    Column("external_id", Text, primary_key=True, comment="the item's id at the vendor"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("seen_at", timestamp, nullable=False, server_default=func.now(), comment="when it was seen first"),
    Index(None, "workspace_id", "table_name", "external_id"),
    schema="ingest",
    comment="Items that a login sees and whose row another login of the workspace holds, or gave to this one.",
)

_NOTE = text("""
    insert into ingest.sightings (account_id, table_name, workspace_id, external_id)
    select :account_id, :table_name, :workspace_id, unnest(cast(:ids as text[])) on conflict do nothing
""")


def note_sightings(
    conn: Connection, table: Table, workspace_id: str, account_id: int, external_ids: Sequence[str]
) -> None:
    """Note that a login sees items that are stored of another one."""
    conn.execute(
        _NOTE,
        {
            "account_id": account_id,
            "table_name": table.name,
            "workspace_id": workspace_id,
            "ids": list(external_ids),
        },
    )


def forget_sightings(
    conn: Connection, table: Table, workspace_id: str, account_id: int, external_ids: Sequence[str]
) -> None:
    """Drop what was noted of a login and items."""
    mine = (
        sightings.c.workspace_id == workspace_id,
        sightings.c.account_id == account_id,
        sightings.c.table_name == table.name,
    )
    conn.execute(delete(sightings).where(*mine, sightings.c.external_id == func.any(list(external_ids))))


def seen_by_others(
    table: Table, workspace_id: str, account_id: int, external_ids: Sequence[str]
) -> Select[str, int]:
    """Select (external_id, account_id) of items that another working login of the workspace sees, a login each."""
    return (
        select(sightings.c.external_id, func.min(sightings.c.account_id).label("account_id"))
        .join(accounts, accounts.c.account_id == sightings.c.account_id)
        .where(
            sightings.c.workspace_id == workspace_id,
            sightings.c.table_name == table.name,
            sightings.c.external_id == func.any(list(external_ids)),
            sightings.c.account_id != account_id,
            accounts.c.state.not_in([NEEDS_RECONNECT, DISCONNECTED]),
        )
        .group_by(sightings.c.external_id)
    )


def hand_over(
    conn: Connection, table: Table, workspace_id: str, account_id: int, external_ids: Sequence[str]
) -> None:
    """Give a login's rows to others that see the items. Their sightings stay until they have looked again."""
    others = seen_by_others(table, workspace_id, account_id, external_ids).subquery()
    conn.execute(
        update(table)
        .where(
            table.c.workspace_id == workspace_id,
            table.c.account_id == bindparam("holder", account_id),
            table.c.external_id == others.c.external_id,
        )
        .values(account_id=others.c.account_id)
    )
