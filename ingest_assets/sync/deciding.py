"""Decide on rows that a vendor shows no more: mark exactly those of a review, keep them, or take that back.

Each part is one transaction under the account's lease. A review is named by the last of its rows and a hash of all
of them: what comes to be held later is no part of it, and what the vendor shows again by then makes it void.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, Engine, Table

from ingest_assets.errors import IngestError, LeaseLost
from ingest_assets.sources import BY_NAME
from ingest_assets.storage import decisions, writes
from ingest_assets.storage.account_leases import Lease, release_lease, renew_lease, take_lease
from ingest_assets.storage.deletion_tables import ACCEPTED, REFUSED
from ingest_assets.storage.schema import StoredRow

BUSY = "another run reads this account, or it is paused"
VOID = (
    "The rows that wait for a decision are no longer those of review {}: look again with "
    "`ingest-assets deletions review`."
)


@dataclass
class Decided:
    """What became of an account's rows."""

    source: str
    workspace_id: str
    account: str
    rows: int = 0
    skipped: str | None = None
    """Why nothing was done, or no more."""


@dataclass(frozen=True)
class Step:
    """What is done to the rows of one part."""

    decision: str
    before: str | None
    review: str

    def __call__(self, conn: Connection, table: Table, rows: Sequence[StoredRow]) -> int:
        account_id, ids = rows[0].account_id, [row.held_id for row in rows]
        if self.before == ACCEPTED:
            back = set[str]()
            for moment in {row.decided_at for row in rows}:
                marked = [row.external_id for row in rows if row.decided_at == moment]
                back |= set(writes.unmark_deleted(conn, table, account_id, marked, marked_at=moment))
            decisions.forget_held(conn, [row.held_id for row in rows if row.external_id not in back])
        decided = decisions.decide(conn, ids, self.decision, self.review, before=self.before)
        if self.decision == ACCEPTED:
            return len(writes.mark_deleted(conn, table, account_id, [row.external_id for row in decided]))
        return len(decided)


def review_of(rows: Sequence[StoredRow]) -> str:
    """Name what is reviewed."""
    digest = hashlib.blake2b(digest_size=4)
    for row in rows:
        digest.update(f"{row.held_id} {row.account_id} {row.table_name} {row.external_id}\n".encode())
    return f"{max(row.held_id for row in rows)}-{digest.hexdigest()}"


def reviewed(rows: Sequence[StoredRow], review: str) -> Sequence[StoredRow]:
    """Return the rows of a review. Raises IngestError where they are not what it showed."""
    last = review.partition("-")[0]
    chosen = [row for row in rows if last.isdigit() and row.held_id <= int(last)]
    if not chosen or review_of(chosen) != review:
        raise IngestError(VOID.format(review))
    return chosen


def decide_on(
    engine: Engine, rows: Sequence[StoredRow], step: Step, *, owner: str, length: timedelta
) -> Iterator[Decided]:
    """Decide on rows, account by account; yield what became of each."""
    ordered = sorted(rows, key=lambda row: (row.account_id, row.part, row.table_name))
    for account_id, some in groupby(ordered, key=lambda row: int(row.account_id)):
        yield _account(engine, account_id, list(some), step, owner=owner, length=length)


def _account(
    engine: Engine, account_id: int, rows: Sequence[StoredRow], step: Step, *, owner: str, length: timedelta
) -> Decided:
    first = rows[0]
    total = Decided(first.source, first.workspace_id, first.account)
    tables = {record.table.name: record.table for record in BY_NAME[first.source].records}
    with engine.begin() as conn:
        taken = take_lease(conn, account_id, owner, length, now=datetime.now(UTC), reservation=None)
    if taken is None:
        total.skipped = BUSY
        return total
    lease = Lease.of(taken)
    try:
        for _part, of_part in groupby(rows, key=lambda row: row.part):
            with engine.begin() as conn:
                if not renew_lease(conn, lease, length):
                    raise LeaseLost("taken over: another run or command has this account now")
                for name, of_table in groupby(of_part, key=lambda row: row.table_name):
                    total.rows += step(conn, tables[name], list(of_table))
                decisions.recover(conn, lease)
    except LeaseLost as error:
        total.skipped = str(error)
    finally:
        with engine.begin() as conn:
            release_lease(conn, lease)
    return total


def accepting(review: str, *, kept: bool) -> Step:
    """Return what marks rows as deleted; `kept`: those that an earlier decision keeps."""
    return Step(ACCEPTED, REFUSED if kept else None, review)


def refusing(review: str) -> Step:
    """Return what keeps rows, though the vendor shows them no more."""
    return Step(REFUSED, None, review)


def undoing(review: str) -> Step:
    """Return what makes rows living again that were accepted, and keeps them."""
    return Step(REFUSED, ACCEPTED, review)
