"""What ours is built of and cannot do without, and nothing beside it: the parts alone.

`parts_slack` and `parts_gmail` fetch like the yardsticks, but with the client that ours has; they make typed
records of all items and rows with a hash, and store them in one transaction, one COPY a table: no limits, no
retries, no cursor, no lease, no commit a page, nothing set aside. What ours takes beyond them, its layers take.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, Table

from ingest_assets.sources.login import Account
from ingest_assets.storage.engine import connect
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.storage.writes import upsert

ACCOUNT = Account(account_id=1, workspace_id="bench", name="bench", external_id="bench", settings={})


@contextmanager
def database() -> Iterator[Engine]:
    """Connect before the measuring begins."""
    engine = connect(os.environ["DATABASE_URL"])
    with engine.connect():
        pass
    yield engine
    engine.dispose()


def store(engine: Engine, rows: Mapping[Table, Sequence[RecordRow]]) -> None:
    """Store the rows of each table."""
    with engine.begin() as conn:
        for table, some in rows.items():
            upsert(conn, table, some, mostly_new=True)
