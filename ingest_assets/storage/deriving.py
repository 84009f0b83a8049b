"""Rows whose columns an older parser derived: found in steps, and replaced where nobody wrote them meanwhile."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, exists, func, select, tuple_, update

from ingest_assets.storage.schema import ColumnsView, StoredRow


def any_stale(conn: Connection, table: Table, version: int) -> bool:
    """Tell whether any row is of an older parser; it reads the table, as an index would cost each row written."""
    return bool(conn.execute(select(exists().where(table.c.parser_version < version))).scalar_one())


def stale_rows(
    conn: Connection, table: Table, version: int, after: tuple[Any, ...] | None, limit: int
) -> Sequence[StoredRow]:
    """Return the next rows of an older parser, in the order of the primary key, without locking them."""
    key = tuple_(*table.primary_key)
    chosen = select(table).where(table.c.parser_version < version).order_by(*table.primary_key).limit(limit)
    return conn.execute(chosen if after is None else chosen.where(key > after)).all()


def key_of(table: Table, row: StoredRow) -> tuple[Any, ...]:
    """Return a row's primary key."""
    return tuple(getattr(row, column.name) for column in table.primary_key)


def mark_derived(conn: Connection, table: Table, version: int, rows: Sequence[StoredRow]) -> None:
    """Set the parser's version of rows and leave the rest of them as it is."""
    if rows:
        keys = [key_of(table, row) for row in rows]
        conn.execute(
            update(table)
            .where(tuple_(*table.primary_key).in_(keys), table.c.parser_version < version)
            .values(parser_version=version)
        )


def store_derived(
    conn: Connection, table: Table, version: int, changes: Sequence[tuple[StoredRow, ColumnsView]]
) -> None:
    """Replace columns of rows, in the order of the key, unless a sync has written the row since it was read.

    All changes name the same columns.
    """
    if not changes:
        return
    columns = list(changes[0][1])
    same = and_(*(column == bindparam(f"key_{column.name}") for column in table.primary_key))
    statement = (
        update(table)
        .where(same, table.c.content_hash == bindparam("seen"), table.c.parser_version < version)
        .values(
            parser_version=version, updated_at=func.now(), **{name: bindparam(f"new_{name}") for name in columns}
        )
    )
    conn.execute(
        statement,
        [
            {f"key_{column.name}": getattr(row, column.name) for column in table.primary_key}
            | {"seen": row.content_hash}
            | {f"new_{name}": value for name, value in values.items()}
            for row, values in changes
        ],
    )
