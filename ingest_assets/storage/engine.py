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
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ingest_assets.errors import IngestError, ProcessFault
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.trouble import TROUBLES, trouble

MIGRATIONS = Path(__file__).parent.parent / "migrations"
CONNECT_SECONDS = 10
CLOCKS_APART = timedelta(minutes=5)  # what Kerberos allows, too; a token's margin is shorter, and asks again
NO_TABLES = {"3F000", "42P01"}  # no such schema, no such table
ENCODING = "UTF8"
_LOOK_AROUND = """
    select version_num, current_user as role, current_setting('server_encoding') as server_encoding,
        row_security_active('ingest.accounts') as blind, pg_get_userbyid(relowner) as owner
    from ingest.alembic_version, pg_class where pg_class.oid = 'ingest.accounts'::regclass
"""
IDLE_SECONDS = 1.0
"""A connection that was in use so recently is not asked whether it is still there: a quarter of what is sent."""


AWAY: Mapping[str, str] = {
    "08": "connection exception",
    "25006": "read only SQL transaction",
    "25P03": "idle in transaction session timeout",
    "25P04": "transaction timeout",
    "42501": "insufficient privilege",
    "53": "insufficient resources",
    "57": "operator intervention",
    "58": "system error",
}
"""Classes and states of SQLSTATE (PostgreSQL's manual, appendix A) that strike every account alike."""
STALE: Mapping[str, str] = {
    "08": "connection exception",
    "25006": "read only SQL transaction: a failover made another server the primary",
    "25P03": "idle in transaction session timeout",
    "25P04": "transaction timeout",
    "57P": "operator intervention: the server ends, starts, or ended the session",
}
"""Of those, with which a new connection may work: all that are kept are replaced."""
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
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "ingest_assets",
            "client_encoding": "utf8",
            "prepare_threshold": None,  # a pooler may give each transaction another session
        },
    )
    event.listen(engine, "connect", _settle)
    replace_stale_connections(engine)
    event.listen(engine, "checkin", _left)
    event.listen(engine, "checkout", partial(_look, engine))
    return engine


def replace_stale_connections(engine: Engine | type[Engine]) -> None:
    """Let the pool connect anew after an error that a new connection may not meet, as after a failover.

    `engine`: one, or the class for all that the process makes.
    """
    if not event.contains(engine, "handle_error", _stale):
        event.listen(engine, "handle_error", _stale)


def _stale(context: ExceptionContext) -> None:
    cause = context.original_exception
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""  # of psycopg, of psycopg2
    if state.startswith(tuple(STALE)):
        context.is_disconnect = True


def _settle(connection: Any, _record: Any) -> None:
    """Have times written in the one way that psycopg reads, whatever the server or the role prefers."""
    style = connection.info.parameter_status("DateStyle") or ""
    if not style.startswith("ISO"):
        before, connection.autocommit = connection.autocommit, True
        connection.execute("set datestyle to iso")
        connection.autocommit = before


def reading(engine: Engine) -> Connection:
    """Connect for single statements, without a transaction around each."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def gave_way(error: BaseException) -> bool:
    """Tell whether the same transaction may work when it is tried again."""
    return isinstance(error, PoolTimeout) or _state(error).startswith(tuple(GAVE_WAY))


def went_away(error: BaseException) -> bool:
    """Tell trouble of the database as a whole from trouble with one statement or its rows."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error) or gave_way(error):
        return False
    if cause.sqlstate is None:
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return cause.sqlstate.startswith(tuple(AWAY))


def refused(error: BaseException) -> bool:
    """Tell trouble with what a row holds from all other."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return isinstance(cause, REFUSALS)
    if cause.sqlstate is None:
        return isinstance(cause, psycopg.DataError)  # psycopg's own
    return cause.sqlstate.startswith(tuple(REFUSED))


def refusal(error: BaseException) -> str:
    """Return why a row was refused, without any value, which PostgreSQL's message may hold."""
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
    """Raise IngestError unless the database answers, has this version's schema, and shows us its rows."""
    try:
        with engine.connect() as conn:
            found = conn.execute(text(_LOOK_AROUND)).one_or_none()
    except TROUBLES as error:
        if _state(error) not in NO_TABLES:
            raise IngestError(trouble(error, engine) or str(error)) from error
        found = None
    if found is None:
        raise ProcessFault("The database has no ingest_assets tables yet; run `ingest-assets migrate`.")
    if found.version_num != (expected := head_revision()):
        raise ProcessFault(
            f"The database is at schema version {found.version_num} and this program expects {expected}; "
            "run `ingest-assets migrate`, or update ingest_assets if the database is the newer one."
        )
    if found.server_encoding != ENCODING:
        raise ProcessFault(
            f"The database is encoded in {found.server_encoding}, which cannot hold every text; create one with "
            f"encoding {ENCODING} and migrate it."
        )
    if found.blind:
        raise ProcessFault(
            f"The role {found.role!r} does not own our tables, so row-level security hides every row from it, and "
            f"nothing would ever be synced. Either `grant {found.owner} to {found.role}`, or "
            f"`alter role {found.role} bypassrls`."
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
    """Return the newest migration, by the files' numbers: asking alembic takes a tenth of a second."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]
