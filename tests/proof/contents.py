"""What the tables hold, in a form that two runs which did the same have in common."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, DateTime, Engine, Table

from ingest_assets.storage.record_tables import BOOKKEEPING
from ingest_assets.storage.schema import metadata
from tests.generated_docs import KNOWN

ASIDE = {
    "ingest.syncs": "a killed sync leaves no row, and the next one counts what is left",
    "ingest.sync_counts": "the same, summed up",
    "ingest.leases": "of the operation itself",
    "features.model_requests": "what was asked and not stored is asked again, and both are paid",
    "features.model_batches": "the same",
}
"""Tables that are not compared, and why."""
OURS = {"account_id", "lease_owner", "lease_token", "lease_until", "version_id"}
"""Columns with ids of ours."""
assert KNOWN  # else not all tables would be
TABLES = metadata.sorted_tables
KEPT = "kept"  # the schema of the copies


def _compared(table: Table) -> Iterator[str]:
    """Yield a table's columns; of a time that is not the vendor's only whether there is one."""
    vendors = table.schema == "raw" and table.name != "versions"
    for column in table.columns:
        if column.name in OURS:
            continue
        ours = isinstance(column.type, DateTime) and (not vendors or column.name in BOOKKEEPING)
        yield f"{column.name} is null as {column.name}" if ours else column.name


Contents = dict[str, list[str]]
"""Each table's rows as texts, in their own order."""


def _rows(table: Table) -> str:
    """Return a statement: the rows of a table as texts."""
    listed = ", ".join(_compared(table))
    texts = f"select row::text from (select {listed} from {table.fullname}) as row order by 1"
    return f"select '{table.fullname}' as name, array({texts}) as rows"


_ROWS = " union all ".join(_rows(table) for table in TABLES if table.fullname not in ASIDE)


def contents(engine: Engine) -> Contents:
    """Return what all tables hold that are compared."""
    with engine.connect() as conn:
        return {row.name: row.rows for row in conn.exec_driver_sql(_ROWS)}


def difference(held: Contents, wanted: Contents) -> str:
    """Return the rows in which two contents differ, a line each."""
    lines = [
        f"{sign} {name}: {row[:600]}"
        for name in wanted
        for sign, one, other in (("+", held, wanted), ("-", wanted, held))
        for row in one[name]
        if one[name].count(row) > other[name].count(row)
    ]
    return "\n".join(lines)


class Snapshot:
    """The tables as they were once, to begin from again and again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as conn:
            conn.exec_driver_sql(f"create schema {KEPT}")
            for table in TABLES:
                conn.exec_driver_sql(f"create table {self._copy(table)} as table {table.fullname}")
            self._filled = [table for table in TABLES if _any(conn, table)]

    def restore(self) -> None:
        emptied = [f"delete from {table.fullname}" for table in TABLES]
        filled = [
            f"insert into {table.fullname} overriding system value select * from {self._copy(table)}"
            for table in self._filled
        ]
        with self._engine.begin() as conn:
            conn.exec_driver_sql("set local session_replication_role = replica")  # no trigger, no order of keys
            conn.exec_driver_sql("; ".join([*emptied, *filled]))

    def _copy(self, table: Table) -> str:
        return f"{KEPT}.{table.schema}_{table.name}"


def _any(conn: Connection, table: Table) -> bool:
    return conn.exec_driver_sql(f"select from {table.fullname} limit 1").first() is not None
