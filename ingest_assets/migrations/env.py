"""Run migrations on the connection that `storage.migrate` hands over, or on DATABASE_URL for `alembic check`."""

import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, text

import ingest_assets.features.featured
import ingest_assets.storage.deletion_tables
import ingest_assets.storage.incident_tables
import ingest_assets.storage.operations
import ingest_assets.storage.process_reports  # noqa: F401  (these, with the sources, define all tables)
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.schema import metadata


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "schema" or name in {"ingest", "raw", "features"}


def _run(conn: Connection) -> None:
    conn.execute(text("create schema if not exists ingest"))  # the version table lives there
    context.configure(
        connection=conn,
        target_metadata=metadata,
        version_table_schema="ingest",
        include_schemas=True,
        include_name=_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    _run(connection)
else:
    with create_engine(sqlalchemy_url(os.environ["DATABASE_URL"])).begin() as own:
        _run(own)
