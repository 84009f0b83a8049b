"""Versions of rows in which a person may be."""

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from ingest_assets.storage.engine import reading
from ingest_assets.storage.erasing import CHUNK, matching
from ingest_assets.storage.record_tables import versions
from ingest_assets.storage.schema import StoredRow


def found_versions(
    engine: Engine, records: Table, workspace_id: str, pattern: str | None
) -> Iterator[Sequence[StoredRow]]:
    """Yield versions of a table's rows that match, few at a time."""
    after = 0
    while True:
        with reading(engine) as conn:
            rows = _versions(conn, records, workspace_id, after, matching(versions, pattern))
        if not rows:
            return
        yield rows
        after = rows[-1].version_id


def versions_of(
    conn: Connection, records: Table, workspace_id: str, external_ids: Sequence[str]
) -> Iterator[Sequence[StoredRow]]:
    """Yield all versions of some rows, few at a time."""
    after, where = 0, versions.c.external_id == func.any(list(external_ids))
    while rows := _versions(conn, records, workspace_id, after, where):
        yield rows
        after = rows[-1].version_id


def _versions(
    conn: Connection, records: Table, workspace_id: str, after: int, where: ColumnElement[bool]
) -> Sequence[StoredRow]:
    whose = and_(versions.c.table_name == records.name, versions.c.workspace_id == workspace_id)
    query = select(versions).where(whose, versions.c.version_id > after, where)
    return conn.execute(query.order_by(versions.c.version_id).limit(CHUNK)).all()


def replace_version(conn: Connection, row: StoredRow, text: str | None, raw: str) -> None:
    """Replace what a version holds."""
    given = cast(bindparam("given", value=raw, type_=Text), JSONB)
    conn.execute(update(versions).where(versions.c.version_id == row.version_id).values(text=text, raw=given))


def clear_texts(conn: Connection, records: Table, workspace_id: str, external_ids: Sequence[str]) -> None:
    """Take the texts out of all versions of some rows."""
    conn.execute(
        update(versions)
        .where(
            versions.c.table_name == records.name,
            versions.c.workspace_id == workspace_id,
            versions.c.external_id == func.any(list(external_ids)),
        )
        .values(text=None)
    )


def drop_new_versions(conn: Connection, records: Table, workspace_id: str, external_ids: Sequence[str]) -> None:
    """Delete the versions of rows that this transaction has made."""
    conn.execute(
        delete(versions).where(
            versions.c.table_name == records.name,
            versions.c.workspace_id == workspace_id,
            versions.c.external_id == func.any(list(external_ids)),
            versions.c.valid_to >= func.now(),
        )
    )
