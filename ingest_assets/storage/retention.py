"""Delete what an account's rows said before a moment, with all that was made of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, exists, func, select, tuple_, update

from ingest_assets.storage.record_tables import versions
from ingest_assets.storage.schema import StoredRow, rejected_records, sync_cursors
from ingest_assets.storage.sightings import sightings

CHUNK = 1_000  # rows a transaction, each with its versions


@dataclass(frozen=True)
class Kind:
    """A table of what was said."""

    table: Table
    conversations: Table | None = None
    """The table whose rows its own go with, whatever their age."""
    features: Table | None = None
    """What was found in its rows."""


def expire(
    engine: Engine, account: StoredRow, kinds: Sequence[Kind], before: datetime, later: Callable[[str], str]
) -> Iterator[tuple[str, int]]:
    """Delete an account's rows from before a moment, a chunk a transaction; yield (table, rows).

    First of all its cursors take back what they cover of that time: `later` gives such a position.
    """
    with engine.begin() as conn:
        _take_back(conn, account.account_id, later)
    for kind in kinds:
        count = 0
        while True:
            with engine.begin() as conn:
                deleted = _chunk(conn, account, kind, before)
            count += deleted
            if deleted < CHUNK:
                break
        yield str(kind.table), count
    with engine.begin() as conn:
        yield str(rejected_records), _rejected(conn, account, before)


def _take_back(conn: Connection, account_id: int, later: Callable[[str], str]) -> None:
    table = sync_cursors
    own = table.c.account_id == account_id
    for row in conn.execute(select(table.c.stream, table.c.cursor).where(own).with_for_update()).all():
        covered = row.cursor.get("covered_from")
        if isinstance(covered, str) and (moved := later(covered)) != covered:
            # not `updated_at`: nothing was read
            cursor = row.cursor | {"covered_from": moved}
            conn.execute(update(table).where(own, table.c.stream == row.stream).values(cursor=cursor))


def _chunk(conn: Connection, account: StoredRow, kind: Kind, before: datetime) -> int:
    table = kind.table
    old = [table.c.workspace_id == account.workspace_id, table.c.occurred_at < before]
    old.append(table.c.account_id == account.account_id)
    if kind.conversations is not None:
        whole = kind.conversations
        same = whole.c.account_id == table.c.account_id, whole.c.external_id == table.c.conversation_id
        old.append(~exists().where(*same))
    key = tuple_(*table.primary_key)
    chosen = select(*table.primary_key).where(*old).limit(CHUNK).with_for_update(skip_locked=True)
    gone = delete(table).where(key.in_(chosen)).returning(table.c.external_id)
    ids = list(conn.execute(gone).scalars())
    if ids:
        _and_what_was_made(conn, account, kind, ids)
    return len(ids)


def _and_what_was_made(conn: Connection, account: StoredRow, kind: Kind, ids: list[str]) -> None:
    """Delete the versions, features and rejected items of rows."""
    whose: dict[str, Any] = {"workspace_id": account.workspace_id, "table_name": kind.table.name}
    if "account_id" in kind.table.primary_key:  # else the workspace's accounts share the row
        whose["account_id"] = account.account_id
    else:
        seen = sightings.c.workspace_id == account.workspace_id, sightings.c.table_name == kind.table.name
        conn.execute(delete(sightings).where(*seen, sightings.c.external_id == func.any(ids)))
    of_rows = (versions.c[name] == value for name, value in whose.items())
    conn.execute(delete(versions).where(*of_rows, versions.c.external_id == func.any(ids)))
    item = rejected_records.c
    mine = item.account_id == account.account_id, item.table_name == kind.table.name
    conn.execute(delete(rejected_records).where(*mine, item.item_key == func.any(ids)))
    if (found := kind.features) is not None:
        of_workspace = found.c.workspace_id == account.workspace_id
        conn.execute(delete(found).where(of_workspace, found.c.external_id == func.any(ids)))


def _rejected(conn: Connection, account: StoredRow, before: datetime) -> int:
    """Delete items that were set aside and not seen since: their own time may be what could not be parsed."""
    item = rejected_records.c
    old = item.account_id == account.account_id, item.last_seen_at < before
    return conn.execute(delete(rejected_records).where(*old)).rowcount
