"""Look for single items: by an id, by words, and among what is known not to be stored."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, Text, case, cast, func, literal, null, or_, select

from ingest_assets.storage.deletion_tables import held_deletions
from ingest_assets.storage.schema import ColumnsView, StoredRow, rejected_records, unreadable_parts

EXCERPT = 160  # characters of what an item says
BEFORE = 40  # of these, before the first word that was looked for
LABELS = ("title", "subject", "name")
ALSO = (
    "occurred_at",
    "conversation_id",
    "channel_id",
    "url",
    "transcript_state",
    "duration_seconds",
    "is_private",
)


def stored_items(
    conn: Connection, table: Table, account_ids: Sequence[int], where: ColumnsView, *, in_raw: bool, most: int
) -> Sequence[StoredRow]:
    """Return the accounts' rows, deleted ones too, whose columns (or fields of `raw`) have some values."""
    same = [(table.c.raw[name].astext if in_raw else table.c[name]) == value for name, value in where.items()]
    whose = table.c.account_id == func.any(list(account_ids))
    return conn.execute(_shown(table).where(whose, *same).limit(most)).all()


def items_saying(
    conn: Connection, table: Table, workspace_id: str, words: Sequence[str], most: int
) -> Sequence[StoredRow]:
    """Return the newest rows, deleted ones too, that hold all of some words in their title or text."""
    columns = [table.c[name] for name in (*LABELS, "text") if name in table.c]
    said = func.concat_ws(literal(" "), *columns)
    holds = [said.icontains(word, autoescape=True) for word in words]
    query = _shown(table, words[0]).where(table.c.workspace_id == workspace_id, *holds)
    return conn.execute(query.order_by(table.c.occurred_at.desc()).limit(most)).all()


def _shown(table: Table, word: str | None = None) -> Any:
    """Select what is shown of a row: its place, and the beginning of what it says, or where a word stands."""
    labels: list[Any] = [table.c[name] for name in LABELS if name in table.c]
    text: ColumnElement[str | None] = cast(null(), Text)
    if "text" in table.c:
        text = func.left(table.c.text, EXCERPT)
        if word is not None:
            place = func.strpos(func.lower(table.c.text), func.lower(word))
            text = case((place > BEFORE, func.substr(table.c.text, place - BEFORE, EXCERPT)), else_=text)
    held = (held_deletions.c.account_id == table.c.account_id) & (held_deletions.c.table_name == table.name)
    return select(
        table.c.account_id,
        table.c.external_id,
        table.c.first_seen_at,
        table.c.deleted_at,
        *(table.c[name] for name in ALSO if name in table.c),
        func.left(func.coalesce(*labels, null()) if labels else cast(null(), Text), EXCERPT).label("label"),
        text.label("excerpt"),
        select(held_deletions.c.first_seen_at)
        .where(held, held_deletions.c.external_id == table.c.external_id, held_deletions.c.decision.is_(None))
        .scalar_subquery()
        .label("held_since"),
    )


def features_of(conn: Connection, table: Table, workspace_id: str, external_id: str) -> StoredRow | None:
    """Return state, reason, extracted_at and found (how many items) of a conversation's features."""
    count = func.jsonb_array_length(table.c["items"]).label("found")
    query: Select[Any] = select(table.c.state, table.c.reason, table.c.extracted_at, count)
    whose = (table.c.workspace_id == workspace_id, table.c.external_id == external_id)
    return conn.execute(query.where(*whose)).one_or_none()


def set_aside(conn: Connection, account_id: int, table: Table, value: str, *, ends: bool) -> Sequence[StoredRow]:
    """Return the rejected items with a key; `ends`: also those whose key ends with it, after a colon."""
    key = rejected_records.c.item_key
    same = or_(key == value, func.right(key, len(value) + 1) == f":{value}") if ends else key == value
    query: Select[Any] = select(key, rejected_records.c.error, rejected_records.c.first_seen_at)
    whose = (rejected_records.c.account_id == account_id, rejected_records.c.table_name == table.name)
    return conn.execute(query.where(*whose, same)).all()


def unreadable(conn: Connection, account_id: int, values: Sequence[str]) -> Sequence[StoredRow]:
    """Return the parts that could not be read and whose id is one of some values, or ends with one."""
    ends = [func.right(unreadable_parts.c.part, len(value)) == value for value in values if value]
    return conn.execute(
        select(unreadable_parts).where(unreadable_parts.c.account_id == account_id, or_(*ends))
    ).all()
