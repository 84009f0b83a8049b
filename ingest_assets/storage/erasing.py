"""Look through what is stored for a person, in steps by primary key, and replace rows.

A step reads up to `WINDOW` keys and writes up to `CHUNK` rows, in a transaction of its own: no row is locked for
longer, and memory holds no more. Keys do not change, so a row that somebody else writes meanwhile is not missed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from ingest_assets.storage.engine import reading
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.storage.schema import StoredRow

WINDOW = 5_000  # keys a statement looks through: some 0.2 s
SAID = ("raw", "text", "new_text")  # columns
CHUNK = 100  # rows a transaction; a transcript of a day has megabytes


def owner_of(records: Table) -> Any:
    """Return the first column of a table's key: account_id, or workspace_id of rows that accounts share."""
    return next(one for one in records.primary_key if one.name != "external_id")


def matching(
    records: Table,
    pattern: str | None,
    *,
    beside_raw: Sequence[str] = ("text",),
    conversations: Sequence[str] = (),
) -> ColumnElement[bool]:
    """Return the condition that a row may hold the person; without a pattern every row may.

    `beside_raw`: columns of text that are not taken from `raw`.
    """
    if pattern is None:
        return true()
    texts = [cast(records.c.raw, Text), *(records.c[name] for name in beside_raw)]
    found = [text.regexp_match(pattern, flags="i") for text in texts]
    if conversations:
        found.append(records.c.conversation_id == func.any(list(conversations)))
    return or_(*found)


def owned(records: Table, columns: Sequence[str], pattern: str | None) -> ColumnElement[bool]:
    """Return the condition that one of some columns matches."""
    if pattern is None:
        return true()
    return or_(*(records.c[name].regexp_match(pattern, flags="i") for name in columns))


def found_rows(
    engine: Engine, records: Table, owner: object, where: ColumnElement[bool], *, light: bool = False
) -> Iterator[Sequence[StoredRow]]:
    """Yield an owner's rows that match, few at a time, in the order of the key; `light`: without what they say."""
    key, whose, after = records.c.external_id, owner_of(records) == owner, ""
    columns = [one for one in records.columns if not light or one.name not in SAID]
    most = WINDOW if light else CHUNK
    while True:
        ahead = select(key).where(whose, key > after).order_by(key).limit(WINDOW).subquery()
        with reading(engine) as conn:
            until = conn.execute(select(func.max(ahead.c.external_id))).scalar()
        if until is None:
            return
        while True:
            query = select(*columns).where(whose, key > after, key <= until, where).order_by(key).limit(most)
            with reading(engine) as conn:
                rows = conn.execute(query).all()
            if rows:
                yield rows
            if len(rows) < most:
                break
            after = rows[-1].external_id
        after = until


def replace_rows(conn: Connection, records: Table, changes: Sequence[tuple[StoredRow, RecordRow]]) -> None:
    """Replace rows that nobody has written since they were read, and keep no version of what they held.

    The first statement leaves `updated_at` as it is, so that no version is made. The second says that the rows
    changed: the version that it makes holds what stands there already.
    """
    if not changes:
        return
    names = [
        name.name for name in records.columns if name.name not in ("first_seen_at", "updated_at", "deleted_at")
    ]
    keys = [name.name for name in records.primary_key]
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name not in keys}
    values["raw"] = cast(bindparam("new_raw", type_=Text), JSONB)
    same = [records.c[name] == bindparam(f"key_{name}") for name in keys]
    replace = update(records).where(*same, records.c.content_hash == bindparam("seen")).values(values)
    note = update(records).where(*same, records.c.content_hash == bindparam("made")).values(updated_at=func.now())
    given: list[dict[str, Any]] = []
    for stored, made in sorted(changes, key=lambda change: change[1].external_id):
        new = dict(zip(names, made.values, strict=True))
        row = {("key_" if name in keys else "new_") + name: value for name, value in new.items()}
        given.append({**row, "seen": stored.content_hash, "made": made.content_hash})
    conn.execute(replace, given)
    conn.execute(note, given)


def rows_of(conn: Connection, records: Table, owner: object, external_ids: Sequence[str]) -> Sequence[StoredRow]:
    """Return rows by their ids."""
    return conn.execute(
        select(records).where(owner_of(records) == owner, records.c.external_id == func.any(list(external_ids)))
    ).all()


def drop_features(conn: Connection, features: Table, workspace_id: str, external_ids: Sequence[str]) -> int:
    """Delete what was found in some conversations."""
    return conn.execute(
        delete(features).where(
            features.c.workspace_id == workspace_id, features.c.external_id == func.any(list(external_ids))
        )
    ).rowcount
