"""Delete everything of a workspace that was removed, in short steps, none of them for one that came back."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, Table, delete, func, or_, select, text, tuple_, update

from ingest_assets.storage import deletion_tables, operations
from ingest_assets.storage.incident_tables import incident_messages, incidents
from ingest_assets.storage.schema import accounts, leases, metadata, workspaces

CHUNK = 5_000  # rows a transaction
KNOWN = (deletion_tables, operations)  # whose tables are known once they are imported


def tables_of_workspaces() -> Sequence[Table]:
    """Return the tables that hold rows of a workspace, accounts last: they tell whose the others are."""
    found = [table for table in metadata.sorted_tables if "workspace_id" in table.columns]
    return [*(table for table in found if table not in (workspaces, accounts)), accounts]


def count_rows(conn: Connection, workspace_id: str) -> dict[str, int]:
    """Return how many rows of a workspace each table holds, those without any left out."""
    counts = {
        table.fullname: conn.execute(
            select(func.count()).select_from(table).where(table.c.workspace_id == workspace_id)
        ).scalar_one()
        for table in tables_of_workspaces()
    }
    return {table: rows for table, rows in counts.items() if rows}


def purge(engine: Engine, workspace_id: str) -> Iterator[tuple[str, int]]:
    """Delete every row of a removed workspace; yield (table, rows). It stops where the workspace is taken back."""
    for table in tables_of_workspaces():
        count = 0
        while deleted := _delete(engine, table, workspace_id):
            count += deleted
        if count:
            yield table.fullname, count
    with engine.begin() as conn:
        if _is_removed(conn, workspace_id):
            _forget(conn, workspace_id)


def _delete(engine: Engine, table: Table, workspace_id: str) -> int:
    key = tuple_(*table.primary_key)
    with engine.begin() as conn:
        if not _is_removed(conn, workspace_id):
            return 0
        some = select(*table.primary_key).where(table.c.workspace_id == workspace_id).limit(CHUNK)
        return conn.execute(delete(table).where(key.in_(some))).rowcount


def _is_removed(conn: Connection, workspace_id: str) -> bool:
    """Tell whether a workspace is removed, and keep it so until the transaction ends."""
    removed = select(workspaces.c.workspace_id).where(
        workspaces.c.workspace_id == workspace_id, workspaces.c.removed_at.is_not(None)
    )
    return conn.execute(removed.with_for_update()).first() is not None


def _forget(conn: Connection, workspace_id: str) -> None:
    """Delete the workspace itself, where it is named among others, and the leases on its conversations."""
    without = {name: func.array_remove(incidents.c[name], workspace_id) for name in ("workspaces", "told")}
    among = or_(*(incidents.c[name].contains([workspace_id]) for name in without))
    conn.execute(update(incidents).where(among).values(without))
    told, names = incident_messages, incident_messages.c.facts["workspaces"]
    left = func.jsonb_set(told.c.facts, text("'{workspaces}'"), names.op("-")(workspace_id))
    conn.execute(update(told).where(names.has_key(workspace_id)).values(facts=left))
    conn.execute(delete(leases).where(leases.c.name.endswith(f" {workspace_id}", autoescape=True)))
    conn.execute(delete(workspaces).where(workspaces.c.workspace_id == workspace_id))
