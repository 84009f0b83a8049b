"""Derive rows anew that an older parser derived: an upgrade mends what is stored, without a request.

A step reads some rows, parses what is stored of them and writes what came out differently in a transaction of its
own, which locks these rows for its length and nothing else. What a sync wrote meanwhile is left to that sync.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.source import Source
from ingest_assets.storage.deriving import any_stale, key_of, mark_derived, stale_rows, store_derived
from ingest_assets.storage.engine import REFUSALS, reading, refused
from ingest_assets.storage.schema import Columns, ColumnsView, StoredRow

STEP = 500  # rows a transaction: some hundredths of a second, and few megabytes of raw JSON

Changes = list[tuple[StoredRow, ColumnsView]]


@dataclass
class Derived:
    """What became of a table's rows."""

    table: str
    rows: int = 0
    changed: int = 0
    failed: int = 0
    """Rows that the new parser cannot read; they stay as they are."""


def derive_anew(
    engine: Engine, sources: Sequence[Source], goes_on: Callable[[], bool], *, step: int = STEP
) -> Iterator[Derived]:
    """Derive all rows of older parsers anew, as long as `goes_on`; yield each table's counts that had any."""
    for source in sources:
        for record in reversed(source.records):  # names before what names them, mails before threads
            with reading(engine) as conn:
                if not any_stale(conn, record.table, record.parser):
                    continue
            derived = _table(engine, record, goes_on, step)
            yield derived
            if not goes_on():
                return


def _table(engine: Engine, record: type[Record], goes_on: Callable[[], bool], step: int) -> Derived:
    total, after = Derived(str(record.table)), None
    while goes_on():
        with reading(engine) as conn:
            rows = stale_rows(conn, record.table, record.parser, after, step)
            if not rows:
                break
            beside = record.beside(conn, rows)
        _step(engine, record, rows, beside, total)
        after = key_of(record.table, rows[-1])
    return total


def _step(engine: Engine, record: type[Record], rows: Sequence[StoredRow], beside: object, total: Derived) -> None:
    changes: Changes = []
    same: list[StoredRow] = []
    for row in rows:
        values = _values(record, row, beside)
        total.failed += values is None
        if values is not None and any(values[name] != getattr(row, name) for name in values):
            changes.append((row, values))
        else:
            same.append(row)
    total.rows += len(rows)
    try:
        _store(engine, record, same, changes)
        total.changed += len(changes)
    except REFUSALS as error:
        if not refused(error):
            raise
        _store_singly(engine, record, same, changes, total)


def _values(record: type[Record], row: StoredRow, beside: object) -> Columns | None:
    """Return the columns that are derived, and the hash where one of them tells; None for what does not parse."""
    try:
        made = record.rederive(row, beside)
        made.row()
    except UNPARSEABLE:
        return None
    values = {name: getattr(made, name) for name in record.own_fields if name not in record.kept}
    told = [name for name in record.telling if name in values]
    if told:
        changed = any(values[name] != getattr(row, name) for name in told)
        values["content_hash"] = made.row().content_hash if changed else row.content_hash
    return values


def _store(engine: Engine, record: type[Record], same: Sequence[StoredRow], changes: Changes) -> None:
    with engine.begin() as conn:
        mark_derived(conn, record.table, record.parser, same)
        store_derived(conn, record.table, record.parser, changes)


def _store_singly(
    engine: Engine, record: type[Record], same: Sequence[StoredRow], changes: Changes, total: Derived
) -> None:
    """Store a step of which PostgreSQL refuses rows: these keep their values."""
    _store(engine, record, same, [])
    for change in changes:
        try:
            _store(engine, record, [], [change])
            total.changed += 1
        except REFUSALS as error:
            if not refused(error):
                raise
            _store(engine, record, [change[0]], [])
            total.failed += 1
