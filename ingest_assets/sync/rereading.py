"""Move an account's cursors back, so that the next sync reads again all that was ever read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from ingest_assets.sources import BY_NAME
from ingest_assets.storage import writes
from ingest_assets.storage.account_leases import Lease, release_lease, take_lease
from ingest_assets.storage.rereading import doubt, make_due
from ingest_assets.storage.schema import StoredRow


def reread(
    engine: Engine, row: StoredRow, conversations: Sequence[str], *, owner: str, length: timedelta
) -> tuple[int, int] | None:
    """Return how many streams will be read again, and how many rows will be written anew.

    None where the account is being read now, or is paused. `conversations`: those whose rows are written anew even
    where they seem unchanged.
    """
    source = BY_NAME[row.source]
    again, streams = source.connector().reread, 0
    with engine.begin() as conn:
        taken = take_lease(conn, row.account_id, owner, length, now=datetime.now(UTC), reservation=None)
        if taken is None:
            return None
        for stream, cursor in writes.load_cursors(conn, row.account_id).items():
            moved = again(stream, cursor) if again is not None else None
            if moved is not None:
                writes.save_cursor(conn, row.account_id, row.workspace_id, stream, moved)
                streams += 1
        rows = sum(doubt(conn, record.table, row.account_id, conversations) for record in source.assets)
        make_due(conn, Lease.of(taken))
        release_lease(conn, Lease.of(taken))
    return streams, rows
