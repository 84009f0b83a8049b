"""Have what was read before read again by the next sync, and stored whatever its hash says."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, func, update

from ingest_assets.storage.account_leases import HELD, Lease
from ingest_assets.storage.schema import Columns, accounts

UNKNOWN: Columns = {
    "content_hash": b"",
    "details_hash": "",
    "history_id": None,
    "reply_count": None,
    "latest_reply": None,
}
"""What a sync compares with what the vendor shows, as of a row that was never compared."""


def doubt(conn: Connection, table: Table, account_id: int, conversations: Sequence[str]) -> int:
    """Forget what rows of some conversations are compared by; return how many rows there are."""
    values = {name: value for name, value in UNKNOWN.items() if name in table.columns}
    chosen = table.c.conversation_id == func.any(list(conversations))
    return conn.execute(update(table).where(table.c.account_id == account_id, chosen).values(**values)).rowcount


def make_due(conn: Connection, lease: Lease) -> None:
    """Have an account read as soon as a run can be started."""
    conn.execute(update(accounts).where(HELD).values(due_at=func.now()), lease.key)
