"""Parse again what was set aside, from what is kept of it: without a request, and under the account's lease.

What can be parsed now is stored, and its rejection goes in the same transaction. What cannot stays, with the new
reason.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Engine

from ingest_assets.errors import LeaseLost
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import Record, SetAside
from ingest_assets.sources.rejected import Rejected, parsed
from ingest_assets.sources.source import Source
from ingest_assets.storage.account_leases import Lease, release_lease, renew_lease, take_lease
from ingest_assets.storage.parts import save_parts
from ingest_assets.storage.rejected import find_rejected, load_rejected, note_reason, stored_as
from ingest_assets.storage.schema import Columns, StoredRow
from ingest_assets.storage.suppressed import load_people
from ingest_assets.storage.vault import Vault
from ingest_assets.storage.writes import forget_rejected, upsert_what_fits
from ingest_assets.sync.door import Door
from ingest_assets.sync.worker import account_of

STEP = 200  # items a transaction
REPLAYED = "replayed"  # the code of a part that a replayed item leaves to be read
BUSY = "another run reads this account, or it is paused"


@dataclass
class Replayed:
    """What became of an account's rejected items."""

    source: str
    workspace_id: str
    account: str
    stored: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """By item, why it still cannot be stored."""
    skipped: str | None = None
    """Why nothing was tried, or no more."""


def replay_all(
    engine: Engine,
    sources: Sequence[Source],
    goes_on: Callable[[], bool],
    *,
    owner: str,
    length: timedelta,
    vault: Vault,
    **which: Any,
) -> Iterator[Replayed]:
    """Replay rejected items, account by account in random order, as long as `goes_on`: none waits for ever.

    `which`: as `find_rejected` takes it.
    """
    with engine.connect() as conn:
        rows = sorted(find_rejected(conn, **which), key=lambda row: (row.source, row.account_id))
    by_name = {source.name: source for source in sources}
    accounts = [(key, list(items)) for key, items in groupby(rows, key=lambda row: (row.source, row.account_id))]
    random.shuffle(accounts)
    for (name, account_id), items in accounts:
        if not goes_on():
            return
        yield _replay(engine, by_name[name], account_id, items, owner=owner, length=length, vault=vault)


def _replay(
    engine: Engine,
    source: Source,
    account_id: int,
    items: Sequence[StoredRow],
    *,
    owner: str,
    length: timedelta,
    vault: Vault,
) -> Replayed:
    total = Replayed(source.name, items[0].workspace_id, items[0].account)
    with engine.begin() as conn:
        taken = take_lease(conn, account_id, owner, length, now=datetime.now(UTC), reservation=None)
    if taken is None:
        total.skipped = BUSY
        return total
    lease, account = Lease.of(taken), account_of(taken)
    try:
        with engine.connect() as conn:
            door = Door(load_people(conn, vault, account.workspace_id), account.workspace_id)
        for record in reversed(source.records):  # names before what names them, mails before threads
            of_record = [row for row in items if row.table_name == record.table.name]
            for start in range(0, len(of_record), STEP):
                with engine.begin() as conn:
                    if not renew_lease(conn, lease, length):
                        raise LeaseLost("taken over: another run or command has this account now")
                    rows = load_rejected(conn, of_record[start : start + STEP])
                    _step(conn, record, account, door, rows, total)
    except LeaseLost as error:
        total.skipped = str(error)
    finally:
        with engine.begin() as conn:
            release_lease(conn, lease)
    return total


def _step(
    conn: Connection,
    record: type[Record],
    account: Account,
    door: Door,
    rows: Sequence[StoredRow],
    total: Replayed,
) -> None:
    keys = [row.item_key for row in rows]
    before = stored_as(conn, record.table, account.account_id, keys)
    whose: list[Any] = [SimpleNamespace(account_id=account.account_id, external_id=key) for key in keys]
    beside = record.beside(conn, whose)
    made: dict[str, Record] = {}
    for row in rows:
        item = SetAside(account, row.item_key, before.get(row.item_key), beside)
        result = parsed(record, row.payload, item.replays(record), external_id=row.item_key)
        if isinstance(result, Rejected):
            total.reasons[row.item_key] = result.error
        else:
            made[row.item_key] = result
    refused = _stored(conn, record, account, door, list(made.values()))
    total.reasons |= {key: refused[one.external_id] for key, one in made.items() if one.external_id in refused}
    taken = [one for one in made.values() if one.external_id not in refused]
    total.stored += len(taken)
    for also in record.after_replay(conn, account, taken):
        _stored(conn, type(also), account, door, [also])
    for row in rows:
        if (reason := total.reasons.get(row.item_key)) is not None:
            note_reason(conn, row, reason)
    stored = [key for key in keys if key not in total.reasons]
    forget_rejected(conn, record.table, account.account_id, stored)


def _stored(
    conn: Connection, record: type[Record], account: Account, door: Door, made: Sequence[Record]
) -> dict[str, str]:
    """Write records; return why PostgreSQL refuses some, by their ids."""
    if not made:
        return {}
    made, then = door.records(made)
    rows = {one.external_id: one.row() for one in made}
    _counts, refusals = upsert_what_fits(conn, record.table, [rows[key] for key in sorted(rows)])
    then(conn)
    refused = {refusal.row.external_id: refusal.reason for refusal in refusals}
    taken = [one for one in made if one.external_id not in refused]
    save_parts(conn, [_part(account, *part) for one in taken if (part := one.left_to_read()) is not None])
    return refused


def _part(account: Account, part: str, name: str) -> Columns:
    now = datetime.now(UTC)
    return {
        "account_id": account.account_id,
        "workspace_id": account.workspace_id,
        "part": part,
        "name": name,
        "code": REPLAYED,
        "action": "It was set aside and is stored now; the next sync reads what belongs to it.",
        "since": now,
        "attempts": 1,
        "due_at": None,
        "last_tried_at": now,
        "left_at": None,
    }
