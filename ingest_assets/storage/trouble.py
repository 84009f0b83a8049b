"""What PostgreSQL's errors mean for an operator: one sentence by SQLSTATE, with PostgreSQL's own reason.

Errors of connecting carry no SQLSTATE (libpq keeps it to itself), only the reason.
"""

from collections.abc import Mapping

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

TROUBLES = (DBAPIError, PoolTimeout, psycopg.Error)
NO_ANSWER = (
    "does not let us in",
    "Check DATABASE_URL, that the server is running, and how many connections it allows.",
)
GRANTS = "Grant it to the role in DATABASE_URL; deploy/roles.sql makes roles that have what they need."
BUSY = "Try again when fewer others use it."
MEANINGS: Mapping[str, tuple[str, str]] = {
    "08": NO_ANSWER,
    "25006": ("takes no writes", "DATABASE_URL has to name the primary, and a role that may write."),
    "25P03": ("ended a session that was idle in a transaction", "Raise idle_in_transaction_session_timeout."),
    "25P04": ("ended a transaction that took too long", "Raise transaction_timeout for the role in DATABASE_URL."),
    "28": ("does not let us in", "Check user and password in DATABASE_URL, and the server's pg_hba.conf."),
    "3D": ("has no such database", "Check DATABASE_URL, or create the database."),
    "3F": ("lacks a schema of ours", "Run `ingest-assets migrate`."),
    "40": ("ended a transaction in favour of another", "Try again."),
    "42501": ("does not allow it", GRANTS),
    "42P01": ("lacks a table of ours", "Run `ingest-assets migrate`."),
    "53100": ("has no disk space left", "Free some or add some; what was committed is safe."),
    "53200": ("has no memory left", BUSY),
    "53300": (
        "has no connection left",
        "Raise its max_connections, lower INGEST_PARALLEL_ACCOUNTS, or put PgBouncer before it.",
    ),
    "53": ("has no resources left", BUSY),
    "54": ("meets a limit of its own", "Its log tells which."),
    "55P03": ("did not get a lock in time", "Try again, or raise lock_timeout for the role in DATABASE_URL."),
    "57014": ("stopped a statement", "Raise statement_timeout for the role in DATABASE_URL, if it was that."),
    "57P05": ("ended a session that was idle", "Raise idle_session_timeout."),
    "57": ("ends or starts", "Try again in a moment."),
    "58": ("meets trouble of its machine", "Its log tells more."),
    "F0": ("has a fault in its configuration", "Its log tells more."),
}
"""By class or state of SQLSTATE (appendix A of the manual), the longest that fits: what it does, what to do."""
LONGEST_STATE = 5


def trouble(error: BaseException, engine: Engine) -> str | None:
    """Return a sentence without user, password and values; None for an error that is rather a bug of ours."""
    told = cause_and_remedy(error, engine)
    return None if told is None else " ".join(told)


def cause_and_remedy(error: BaseException, engine: Engine) -> tuple[str, str] | None:
    """Return the same as two: what happened, and what to do."""
    where = f"PostgreSQL at {address(engine)}"
    if isinstance(error, PoolTimeout):
        return f"All connections of this process to {where} are in use.", BUSY
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    meaning = _meaning(cause)
    if meaning is None:
        return None
    what, todo = meaning
    return f"{where} {what}: {_reason(cause)}.", todo


def address(engine: Engine) -> str:
    """Return host, port and database."""
    return f"{engine.url.host or 'the local socket'}:{engine.url.port or 5432}/{engine.url.database or ''}"


def _meaning(error: psycopg.Error) -> tuple[str, str] | None:
    if error.sqlstate is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return NO_ANSWER if lost else None
    for length in range(LONGEST_STATE, 1, -1):
        if error.sqlstate[:length] in MEANINGS:
            return MEANINGS[error.sqlstate[:length]]
    return None


def _reason(error: psycopg.Error) -> str:
    """Return PostgreSQL's message, or the first line of libpq's, without the address before it."""
    if error.diag.message_primary:
        return error.diag.message_primary.rstrip(".")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
