"""Put one page into the database: rows, deletions, rejected items and the cursor that covers them.

What is not stored yet as it is goes through one COPY into a temporary table and one INSERT ... ON CONFLICT DO
UPDATE, which touches a row only when its payload or its deletion changed. Everything takes the connection of the
page's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import blake2b

import psycopg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import OperationalError

from ingest_assets.storage.engine import REFUSALS, refusal, refused
from ingest_assets.storage.record_tables import BOOKKEEPING, RecordRow
from ingest_assets.storage.schema import Columns, rejected_records, sync_cursors

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's

# made once: to put a statement together takes as long as to execute it
_CURSORS = select(sync_cursors.c.stream, sync_cursors.c.cursor).where(
    sync_cursors.c.account_id == bindparam("account")
)
_CURSOR = insert(sync_cursors)
_MOVE_ON = _CURSOR.on_conflict_do_update(
    index_elements=["account_id", "stream"], set_={"cursor": _CURSOR.excluded.cursor, "updated_at": func.now()}
)


@dataclass
class Counts:
    """What happened to rows and items."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    rejected: int = 0

    def __iadd__(self, other: "Counts") -> "Counts":
        self.seen += other.seen
        self.new += other.new
        self.changed += other.changed
        self.deleted += other.deleted
        self.rejected += other.rejected
        return self


def upsert(conn: Connection, table: Table, rows: Sequence[RecordRow], *, mostly_new: bool) -> Counts:
    """Write rows of one account with distinct external ids.

    What is `mostly_new` is not compared with what is stored beforehand; the outcome is the same.
    """
    counts = Counts(seen=len(rows))
    statements = _statements(table)
    if changed := rows if mostly_new else _unlike_stored(conn, statements.stored, rows):
        conn.exec_driver_sql(statements.stage)
        _copy(conn, statements, changed)
        counts.new, counts.changed, counts.deleted = conn.exec_driver_sql(statements.merge).one()
    return counts


@dataclass(frozen=True)
class Refusal:
    """A row that PostgreSQL refuses, and why."""

    row: RecordRow
    reason: str


def upsert_what_fits(conn: Connection, table: Table, rows: Sequence[RecordRow]) -> tuple[Counts, list[Refusal]]:
    """Write rows as `upsert` does, all but those that PostgreSQL refuses: halves of them, down to the one row."""
    try:
        with conn.begin_nested():
            counts = upsert(conn, table, rows, mostly_new=False)
            conn.exec_driver_sql("set constraints all immediate")  # rather than at the commit, which is of all
            conn.exec_driver_sql(f"drop table if exists {_staging(table)}")
        return counts, []
    except REFUSALS as error:
        if not refused(error):
            raise
        if len(rows) == 1:
            return Counts(seen=1), [Refusal(rows[0], refusal(error))]
    total, refusals = Counts(), []
    for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        counts, some = upsert_what_fits(conn, table, half)
        total += counts
        refusals += some
    return total, refusals


def _unlike_stored(conn: Connection, statement: str, rows: Sequence[RecordRow]) -> list[RecordRow]:
    """Leave out rows that are stored as they are: most of what is read again has not changed."""
    if not rows:
        return []
    first, ids = rows[0], [row.external_id for row in rows]
    whose = {"workspace_id": first.workspace_id, "account_id": first.account_id, "ids": ids}
    stored = {row.external_id: row.content_hash for row in conn.exec_driver_sql(statement, whose)}
    return [row for row in rows if row.deleted or stored.get(row.external_id) != row.content_hash]


def _copy(conn: Connection, statements: "_Statements", rows: Sequence[RecordRow]) -> None:
    try:
        with conn.connection.cursor().copy(statements.copy) as copy:
            copy.set_types(statements.types)
            for row in rows:
                copy.write_row((*row.values, row.deleted))
    except psycopg.OperationalError as error:  # as SQLAlchemy, which does not see this cursor, names it elsewhere
        raise OperationalError(statements.copy, None, error, hide_parameters=True) from error


@cache
def _staging(table: Table) -> str:
    """Return the name of a temporary table, which tells its columns.

    A pooler's session may hold one that an older version of us left.
    """
    columns = " ".join(f"{column.name} {column.type}" for column in table.columns)
    return f"stage_{table.name}_{blake2b(columns.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True)
class _Statements:
    stored: str
    stage: str
    copy: str
    types: Sequence[str]
    merge: str


@cache
def _statements(table: Table) -> _Statements:  # the names in it are our own
    name, stage = f"{table.schema}.{table.name}", _staging(table)
    columns = {column.name: column.type for column in table.columns if column.name not in BOOKKEEPING}
    listed = ", ".join(columns)
    # JSON comes as text that was serialised already
    json = {column for column, kind in columns.items() if isinstance(kind, JSONB)}
    types = {c: "text" if c in json else kind.compile(DIALECT).lower() for c, kind in columns.items()}
    staged = ", ".join(f"{column}::text" if column in json else column for column in columns)
    parsed = ", ".join(f"{column}::jsonb" if column in json else column for column in columns)
    keys = ", ".join(column.name for column in table.primary_key)
    [owner] = (column.name for column in table.primary_key if column.name != "external_id")
    values = [column for column in columns if column not in table.primary_key.columns]
    assigned = ", ".join(f"{column} = excluded.{column}" for column in values)
    return _Statements(
        stored=(
            f"select external_id, content_hash from {name} "
            f"where {owner} = %({owner})s and external_id = any(%(ids)s) and deleted_at is null"
        ),
        stage=(
            f"create temporary table if not exists {stage} on commit delete rows as "
            f"select {staged}, false as deleted from {name} with no data"
        ),
        # binary: nothing is escaped here and nothing read letter by letter there
        copy=f"copy {stage} ({listed}, deleted) from stdin (format binary)",
        types=[*types.values(), "boolean"],
        # xmax is 0 on a row version that was inserted, and not on one that replaced another
        merge=(
            f"with written as (insert into {name} as stored ({listed}, deleted_at) "
            f"select {parsed}, case when deleted then now() end from {stage} "
            f"on conflict ({keys}) do update set {assigned}, updated_at = now(), "
            "deleted_at = case when excluded.deleted_at is null then null "
            "else coalesce(stored.deleted_at, excluded.deleted_at) end "
            "where stored.content_hash <> excluded.content_hash "
            "or (stored.deleted_at is null) <> (excluded.deleted_at is null) "
            "returning xmax = 0 as inserted, deleted_at is not null as deleted) "
            "select count(*) filter (where inserted and not deleted), "
            "count(*) filter (where not inserted and not deleted), count(*) filter (where inserted and deleted) "
            "from written"
        ),
    )


def mark_deleted(conn: Connection, table: Table, account_id: int, external_ids: Sequence[str]) -> list[str]:
    """Tombstone rows that the vendor shows no more; return those that were not marked before."""
    return _mark(conn, table, account_id, external_ids, table.c.deleted_at.is_(None), deleted_at=func.now())


def unmark_deleted(
    conn: Connection,
    table: Table,
    account_id: int,
    external_ids: Sequence[str],
    marked_at: datetime | None = None,
) -> list[str]:
    """Take tombstones back, of any time or of one moment; return the rows that had one."""
    marked = table.c.deleted_at.is_not(None) if marked_at is None else table.c.deleted_at == marked_at
    return _mark(conn, table, account_id, external_ids, marked, deleted_at=None)


def _mark(
    conn: Connection,
    table: Table,
    account_id: int,
    external_ids: Sequence[str],
    where: ColumnElement[bool],
    **values: object,
) -> list[str]:
    chosen = and_(table.c.account_id == account_id, table.c.external_id == func.any(list(external_ids)), where)
    changed = update(table).where(chosen).values(updated_at=func.now(), **values)
    return list(conn.execute(changed.returning(table.c.external_id)).scalars())


def stored_rows(conn: Connection, table: Table, account_id: int) -> int:
    """Count an account's rows that are not deleted."""
    return conn.execute(
        select(func.count()).where(table.c.account_id == account_id, table.c.deleted_at.is_(None))
    ).scalar_one()


def living_among(conn: Connection, table: Table, account_id: int, external_ids: Sequence[str]) -> set[str]:
    """Return those of some rows that are stored and not deleted."""
    query = select(table.c.external_id).where(
        table.c.account_id == account_id,
        table.c.external_id == func.any(list(external_ids)),
        table.c.deleted_at.is_(None),
    )
    return set(conn.execute(query).scalars())


def save_rejected(conn: Connection, rows: Sequence[Columns]) -> int:
    """Keep items that cannot be stored, each with its payload as JSON text; return how many are new to us."""
    if not rows:
        return 0
    statement = insert(rejected_records).values(payload=cast(bindparam("payload", type_=Text), JSONB))
    statement = statement.on_conflict_do_update(
        index_elements=list(rejected_records.primary_key),
        set_={
            "payload": statement.excluded.payload,
            "error": statement.excluded.error,
            "last_seen_at": func.now(),
        },
    )
    return sum(
        conn.execute(statement.returning(text("xmax = 0")), row).scalar_one() for row in rows
    )  # few by nature: over a share of the items the sync fails


def forget_rejected(conn: Connection, table: Table, account_id: int, external_ids: Sequence[str]) -> None:
    """Drop rejections of items that have been stored after all."""
    conn.execute(
        delete(rejected_records).where(
            rejected_records.c.account_id == account_id,
            rejected_records.c.table_name == table.name,
            rejected_records.c.item_key == func.any(list(external_ids)),
        )
    )


def load_cursors(conn: Connection, account_id: int) -> dict[str, Columns]:
    """Return the account's cursors by stream."""
    rows = conn.execute(_CURSORS, {"account": account_id})
    return {row.stream: row.cursor for row in rows}


def save_cursor(conn: Connection, account_id: int, workspace_id: str, stream: str, cursor: Columns) -> None:
    """Move a stream on, in the transaction of the rows that the cursor covers."""
    whose = {"account_id": account_id, "workspace_id": workspace_id}
    conn.execute(_MOVE_ON, {**whose, "stream": stream, "cursor": cursor})
