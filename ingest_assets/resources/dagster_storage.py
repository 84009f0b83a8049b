"""Dagster's PostgreSQL storage with connections that a process keeps.

dagster-postgres connects anew for every query, since a process makes many instances, one for each look of a
sensor. An idle daemon and code server come to 18 connections a second, which cost PostgreSQL more than the
queries. Here all instances of a process share one pool. This goes beneath Dagster's public API, held by a contract
test and the pinned version (1.13.27).
"""

import os
from functools import cache, partial
from typing import Any

import dagster as dg
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy import Engine, create_engine

from ingest_assets.storage.engine import replace_stale_connections

KEPT, MORE = 2, 20  # connections of a process; more are opened and closed as they are needed
RECYCLE_SECONDS = 3600


@cache
def _engine(url: str) -> Engine:
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT,
        max_overflow=MORE,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,  # a restart of the server is noticed before a query, and not by it
    )
    os.register_at_fork(after_in_child=partial(engine.dispose, close=False))
    return engine


def _keep(*storages: Any) -> None:
    replace_stale_connections(Engine)  # also those that Dagster's web server makes for itself
    for storage in storages:
        if isinstance(storage, PostgresRunStorage | PostgresEventLogStorage | PostgresScheduleStorage):
            storage._engine = _engine(storage.postgres_url)


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Do it for an instance whose dagster.yaml names Dagster's own storage, as that of a Helm chart does."""
    _keep(instance.run_storage, instance.event_log_storage, instance.schedule_storage)


class KeptConnections(DagsterPostgresStorage):
    """What `storage` in dagster.yaml names."""

    @classmethod
    def from_config_value(  # type: ignore[override]  # as theirs, it gives what it inherits from
        cls, inst_data: Any, config_value: Any
    ) -> DagsterPostgresStorage:
        made = super().from_config_value(inst_data, config_value)
        _keep(made.run_storage, made.event_log_storage, made.schedule_storage)
        return made
