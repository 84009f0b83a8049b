"""Stored rows as records, so that what takes people out of records takes them out of rows, too."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.suppressed import People
from ingest_assets.sync.door import taken_out
from ingest_assets.sync.withheld import holds


def record_of(kind: type[Record], row: Any, beside: object) -> Record:
    """Return the record of a row; of one that does not parse, a record that holds what the row holds."""
    try:
        made = kind.rederive(row, beside)
    except UNPARSEABLE:
        return _as_stored(kind, row)
    return made.model_copy(update={name: getattr(row, name) for name in kind.kept})


def _as_stored(kind: type[Record], row: Any) -> Record:
    names = ("workspace_id", "account_id", "external_id", "raw", *kind.own_fields)
    return kind.model_construct(**{name: getattr(row, name) for name in names})


def summed_up(kind: type[Record], row: StoredRow, beside: object, people: People) -> Record:
    """Return the record of a row that is made of others; where these are gone, with nothing but its place."""
    try:
        return taken_out(kind.rederive(row, beside), people)
    except UNPARSEABLE:
        return _as_stored(kind, row).emptied(people)


def as_it_was(
    conn: Connection, kind: type[Record], version: StoredRow, row: StoredRow | None, people: People
) -> tuple[str | None, str] | None:
    """Return (text, raw) of a version without erased people; None where there are none in it.

    What is not in a version is read from the row. Where that is gone, and of what sums others up, which cannot be
    summed up again as it was, nothing but the place stays.
    """
    if row is None or kind.sums_up is not None:
        return (None, "{}") if holds(kind, [version.text, version.raw], people) else None
    past: Any = SimpleNamespace(**{**row._mapping, **version._mapping})
    before = record_of(kind, past, kind.beside(conn, [past]))
    after = taken_out(before, people)
    return None if after is before else (getattr(after, "text", None), after.row().raw)
