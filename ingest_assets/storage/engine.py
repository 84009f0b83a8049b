"""Connections to PostgreSQL, and whether the database is one we may use."""

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from ingest_assets.errors import IngestError
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.migrate import head_revision

CONNECT_SECONDS = 10


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """Make an engine for any `postgresql://` address. Parameters are hidden from errors: they hold messages."""
    return create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "ingest_assets"},
    )


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
        raise IngestError("The database has no ingest_assets tables yet; run `ingest-assets migrate`.")
    if found != head_revision():
        raise IngestError(
            f"The database is at schema version {found} and this program expects {head_revision()}; "
            "run `ingest-assets migrate`, or update ingest_assets if the database is the newer one."
        )


def unreachable(engine: Engine) -> str:
    """Say which database does not answer, without user and password."""
    where = f"{engine.url.host or 'the local socket'}:{engine.url.port or 5432}/{engine.url.database or ''}"
    return f"PostgreSQL at {where} does not let us in; check DATABASE_URL and that the server is running."
