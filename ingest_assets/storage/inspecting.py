"""What `doctor` asks PostgreSQL about itself and about the role that we have there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from ingest_assets.storage.schema import StoredRow

STATEMENT_MS = 5_000  # longer than any of these takes, where nothing is locked
_SERVER = text("""
    select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
        current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby, current_user as role,
        clock_timestamp() as now,
        case when pg_has_role(current_user, 'pg_read_all_settings', 'usage')
            then current_setting('data_directory') end as folder
""")
_TABLES = text("""
    select row_security_active(oid) as blind, pg_get_userbyid(relowner) as owner,
        has_table_privilege(oid, 'select') as readable, has_table_privilege(oid, 'update') as writable
    from pg_class where oid = to_regclass('ingest.accounts')
""")


@dataclass(frozen=True)
class Pooler:
    """Whether something stands between us and the server."""

    present: bool
    by_transaction: bool
    """It gives each transaction another session; False also where that did not show."""


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """Connect for a transaction that can write nothing, and waits for nothing for long."""
    with engine.begin() as conn:
        conn.execute(text("set transaction read only"))
        conn.execute(text(f"set local statement_timeout = {STATEMENT_MS}"))
        yield conn


def server_facts(conn: Connection) -> StoredRow:
    """Return number, version, encoding, standby, role, now, and folder (null where we may not ask)."""
    return conn.execute(_SERVER).one()


def schema_version(conn: Connection) -> str | None:
    """Return the migration that the database is at; None where none ever ran."""
    if conn.execute(text("select to_regclass('ingest.alembic_version')")).scalar() is None:
        return None
    return conn.execute(text("select version_num from ingest.alembic_version")).scalar()


def table_facts(conn: Connection) -> StoredRow | None:
    """Return blind (row-level security hides rows from us), owner, readable, writable; None without tables."""
    return conn.execute(_TABLES).one_or_none()


def find_pooler(engine: Engine) -> Pooler:
    """Compare the session that we were told of with the one that answers, and that of a second connection.

    A pooler names sessions of its own. One that works by transactions gives a second connection the session that
    the first one has left, though the first one is still there.
    """
    with engine.connect() as first:
        told = first.connection.driver_connection
        mine = _session(first)
        first.rollback()
        if told is None or told.info.backend_pid == mine:
            return Pooler(present=False, by_transaction=False)
        with engine.connect() as second:
            return Pooler(present=True, by_transaction=_session(second) == mine)


def _session(conn: Connection) -> Any:
    return conn.execute(text("select pg_backend_pid()")).scalar_one()


def clock_of(conn: Connection) -> datetime:
    """Return what the server's clock says."""
    moment: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    return moment
