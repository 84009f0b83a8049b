"""A person in rejected items, and in what we wrote about accounts ourselves."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Text, cast, column, func, select, table, update
from sqlalchemy.dialects.postgresql import JSONB

from ingest_assets.storage.engine import reading
from ingest_assets.storage.schema import ColumnsView, StoredRow, rejected_records


def found_rejected(engine: Engine, workspace_id: str) -> Iterator[StoredRow]:
    """Yield a workspace's rejected items, one at a time: each may be large."""
    key = list(rejected_records.primary_key)
    with reading(engine) as conn:
        ids = conn.execute(select(*key).where(rejected_records.c.workspace_id == workspace_id)).all()
    for account_id, table_name, item_key in ids:
        same = (key[0] == account_id, key[1] == table_name, key[2] == item_key)
        with reading(engine) as conn:
            row = conn.execute(select(rejected_records).where(*same)).one_or_none()
        if row is not None:
            yield row


def replace_payload(conn: Connection, row: StoredRow, payload: ColumnsView) -> None:
    """Replace what is kept of a rejected item."""
    conn.execute(
        update(rejected_records)
        .where(
            rejected_records.c.account_id == row.account_id,
            rejected_records.c.table_name == row.table_name,
            rejected_records.c.item_key == row.item_key,
        )
        .values(payload=payload)
    )


OUR_WORDS = (
    ("ingest.syncs", "summary", True),
    ("ingest.accounts", "reason", False),
    ("ingest.check_reports", "reason", False),
    ("ingest.unreadable_parts", "name", False),
    ("ingest.unreadable_parts", "action", False),
)
"""Columns of ours that may name a login, which of a mailbox is an address; of JSON or of text."""


def clean_our_words(engine: Engine, workspace_id: str, pattern: str, put: str) -> Iterator[tuple[str, int]]:
    """Replace what matches in what we wrote about syncs; yield (table, rows)."""
    for name, field, is_json in OUR_WORDS:
        schema, _, plain = name.partition(".")
        ours = table(plain, column("workspace_id"), column(field), schema=schema)
        words = cast(ours.c[field], Text)
        fresh: Any = func.regexp_replace(words, pattern, put, "gi")
        statement = update(ours).where(ours.c.workspace_id == workspace_id, words.regexp_match(pattern, flags="i"))
        with engine.begin() as conn:
            values = {field: cast(fresh, JSONB) if is_json else fresh}
            yield name, conn.execute(statement.values(values)).rowcount
