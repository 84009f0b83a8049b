"""Schema migrations through alembic, kept apart from Dagster's own tables by a version table in `ingest`."""

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine

from ingest_assets.errors import IngestError
from ingest_assets.storage.engine import MIGRATIONS


def config() -> Config:
    """Tell alembic where our migrations are, whatever folder we are in."""
    ours = Config()
    ours.set_main_option("script_location", str(MIGRATIONS))
    return ours


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema, in one transaction. Raises IngestError for a newer database."""
    ours = config()
    with engine.begin() as conn:
        ours.attributes["connection"] = conn
        try:
            command.upgrade(ours, "head")
        except CommandError as error:
            raise IngestError(
                "The database was migrated by a newer ingest_assets than this one; update ingest_assets."
            ) from error
