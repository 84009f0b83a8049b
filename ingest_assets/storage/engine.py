"""Connections to PostgreSQL, and whether the database is one we may use."""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ingest_assets.errors import IngestError, ProcessFault
from ingest_assets.settings import sqlalchemy_url

MIGRATIONS = Path(__file__).parent.parent / "migrations"
CONNECT_SECONDS = 10
CLOCKS_APART = timedelta(minutes=5)  # what Kerberos allows, too; a token's margin is shorter, and asks again
IDLE_SECONDS = 1.0
"""A connection that was in use so recently is not asked whether it is still there: a quarter of what is sent."""


AWAY: Mapping[str, str] = {
    "08": "connection exception",
    "53": "insufficient resources",
    "57": "operator intervention",
    "58": "system error",
}
"""Classes of SQLSTATE (PostgreSQL's manual, appendix A) that strike everybody; a lost connection has none."""
GAVE_WAY: Mapping[str, str] = {
    "40": "transaction rollback",
    "55": "object not in prerequisite state",
    "57014": "query canceled",
}
"""Classes, and one state, with which PostgreSQL ends one transaction or statement: it may be tried again."""
REFUSED: Mapping[str, str] = {
    "22": "data exception",
    "23": "integrity constraint violation",
    "54": "program limit exceeded",
    "P0001": "raised by a trigger",
    "XX000": "internal error: an allocation of over 1 GB, for one",
}
"""Classes, and two states, with which PostgreSQL answers to what a row holds."""
REFUSALS = (DBAPIError, psycopg.Error, ValueError, ArithmeticError, struct.error)
"""What is raised for it: by PostgreSQL, or by psycopg while it writes a value."""
COPIED_COLUMN = re.compile(r"^COPY \w+, line \d+, column (\w+)", re.MULTILINE)


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """Make an engine for any `postgresql://` address. Parameters are hidden from errors: they hold messages."""
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "ingest_assets"},
    )
    event.listen(engine, "checkin", _left)
    event.listen(engine, "checkout", partial(_look, engine))
    return engine


def reading(engine: Engine) -> Connection:
    """Connect for single statements, without a transaction around each."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def gave_way(error: BaseException) -> bool:
    """Tell whether the same transaction may work when it is tried again."""
    return isinstance(error, PoolTimeout) or _state(error).startswith(tuple(GAVE_WAY))


def went_away(error: BaseException) -> bool:
    """Tell trouble of the database as a whole from trouble with one statement or its rows."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) or gave_way(error):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(tuple(AWAY))


def refused(error: BaseException) -> bool:
    """Tell trouble with what a row holds from all other."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return isinstance(cause, REFUSALS)
    if cause.sqlstate is None:
        return isinstance(cause, psycopg.DataError)  # psycopg's own
    return cause.sqlstate.startswith(tuple(REFUSED))


def refusal(error: BaseException) -> str:
    """Say why a row was refused, without any value, which PostgreSQL's message may hold."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
        return f"PostgreSQL refuses it ({type(cause).__name__})"
    diag = cause.diag
    copied = COPIED_COLUMN.search(diag.context or "")
    column = diag.column_name or (copied[1] if copied else None)
    where = [f"{kind} {name}" for kind, name in (("column", column), ("constraint", diag.constraint_name)) if name]
    return f"PostgreSQL refuses it ({', '.join([f'SQLSTATE {cause.sqlstate}', *where])})"


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _state(error: BaseException) -> str:
    cause = _cause(error)
    return (cause.sqlstate if isinstance(cause, psycopg.Error) else None) or ""


def _left(_connection: Any, record: Any) -> None:
    record.info["left"] = monotonic()


def _look(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """Replace connections that a restart of the server cut while they were idle."""
    if monotonic() - record.info.get("left", monotonic()) < IDLE_SECONDS:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def require_current(engine: Engine) -> None:
    """Raise IngestError unless the database answers and has exactly the schema that this version knows."""
    try:
        with engine.connect() as conn:
            found = conn.execute(text("select version_num from ingest.alembic_version")).scalar()
    except OperationalError as error:
        raise IngestError(unreachable(engine)) from error
    except ProgrammingError:
        found = None
    if found is None:
        raise ProcessFault("The database has no ingest_assets tables yet; run `ingest-assets migrate`.")
    if found != (expected := head_revision()):
        raise ProcessFault(
            f"The database is at schema version {found} and this program expects {expected}; "
            "run `ingest-assets migrate`, or update ingest_assets if the database is the newer one."
        )


def require_clock(conn: Connection, now: datetime) -> None:
    """Raise ProcessFault where this machine's clock is far from PostgreSQL's: who is due is told by both."""
    theirs: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    ahead = now - theirs
    if abs(ahead) > CLOCKS_APART:
        raise ProcessFault(
            f"The clock of this machine says {now:%Y-%m-%d %H:%M:%S} UTC and PostgreSQL's says "
            f"{theirs.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; set the wrong one right (by NTP), for the times of "
            "syncs and logins depend on both."
        )


def head_revision() -> str:
    """Name the newest migration, by the files' numbers: asking alembic takes a tenth of a second."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def unreachable(engine: Engine) -> str:
    """Say which database does not answer, without user and password."""
    where = f"{engine.url.host or 'the local socket'}:{engine.url.port or 5432}/{engine.url.database or ''}"
    return f"PostgreSQL at {where} does not let us in; check DATABASE_URL and that the server is running."
