"""What `verify` compares with: whole rows, and what explains that a row is not there."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, func, select

from ingest_assets.storage.schema import StoredRow, rejected_records


def whole_rows(
    conn: Connection, table: Table, workspace_id: str, account_id: int, external_ids: Sequence[str]
) -> dict[str, StoredRow]:
    """Return rows by external id, deleted ones too; of a table that accounts share, whichever account has them."""
    shared = "workspace_id" in table.primary_key.columns
    owner = table.c.workspace_id == workspace_id if shared else table.c.account_id == account_id
    query = select(table).where(owner, table.c.external_id == func.any(list(external_ids)))
    return {row.external_id: row for row in conn.execute(query)}


def rejected_among(conn: Connection, table: Table, account_id: int, external_ids: Sequence[str]) -> set[str]:
    """Return those of some items that are set aside."""
    query = select(rejected_records.c.item_key).where(
        rejected_records.c.account_id == account_id,
        rejected_records.c.table_name == table.name,
        rejected_records.c.item_key == func.any(list(external_ids)),
    )
    return set(conn.execute(query).scalars())
