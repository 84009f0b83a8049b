"""Compare a record that was read just now with the row that is stored of the item.

A row's hash is of what the vendor sent when the row was written. Where it is that of the record, what differs
was changed here. Where it is another one, the item changed at the vendor since then, unless the row contradicts
its own hash, or the vendor says that the change is older than the last sync.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson

from ingest_assets.sources.record import Record
from ingest_assets.storage.schema import StoredRow

NOTICED = timedelta(days=2)  # after which a sync should have seen an edit: everything watched is read anew daily


def differing(record: Record, row: StoredRow) -> list[str]:
    """Return the names of columns, and of fields of raw, that differ, but for what tells nothing."""
    made, loose = record.row(), record.may_differ()
    derived_alike = row.parser_version == record.parser
    columns = [
        name
        for name in record.own_fields
        if derived_alike and name not in loose and getattr(record, name) != getattr(row, name)
    ]
    sent, stored = orjson.loads(made.raw), row.raw
    fields = [
        f"raw.{key}" for key in sorted({*sent, *stored} - record.volatile) if sent.get(key) != stored.get(key)
    ]
    return columns + fields


def judged(record: Record, row: StoredRow, read_at: datetime | None) -> tuple[bool, Sequence[str]]:
    """Return whether a row is wrong, and in which fields; other fields changed at the vendor since.

    `read_at`: when the account was read completely.
    """
    names, loose = differing(record, row), record.may_differ()
    if record.row().content_hash == bytes(row.content_hash):
        return bool(names), names
    if "content_hash" in loose:
        return False, names
    edited = record.edited_at()
    if edited is not None and read_at is not None and edited < read_at - NOTICED:
        return True, names
    told = {name: getattr(row, name) for name in record.telling}
    own = record.model_copy(update={"raw": row.raw, **told}).row().content_hash
    return own != bytes(row.content_hash), names or ["content_hash"]
