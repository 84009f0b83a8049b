"""Resources hold configuration only; what they make is plain objects that know nothing of Dagster."""

from typing import Any

import dagster as dg
from pydantic import Field
from sqlalchemy import Engine

from ingest_assets.settings import CoreSettings
from ingest_assets.sources.source import Source
from ingest_assets.storage.engine import connect, require_current
from ingest_assets.storage.vault import Vault
from ingest_assets.sync import Worker


class Database(dg.ConfigurableResource[Any]):
    """The PostgreSQL that everything is kept in."""

    url: str
    connections: int

    def engine(self) -> Engine:
        """Give the process's engine. Raises IngestError for a database that we may not use."""
        if self.url not in _engines:
            engine = connect(self.url, pool_size=self.connections)
            require_current(engine)
            _engines[self.url] = engine
        return _engines[self.url]


_engines: dict[str, Engine] = {}  # one for the process: runs in it share the pool


def forget_engines() -> None:
    """Close all connections of the process."""
    while _engines:
        _engines.popitem()[1].dispose()


class Credentials(dg.ConfigurableResource[Any]):
    """The keys to stored credentials."""

    encryption_keys: str = ""

    def vault(self) -> Vault:
        return Vault.from_setting(self.encryption_keys)


class Limits(dg.ConfigurableResource[Any]):
    """How long, how many, how much: the core settings."""

    settings: dict[str, Any] = Field(default={})

    def core(self) -> CoreSettings:
        return CoreSettings.model_validate(self.settings, by_name=True)


class Api(dg.ConfigurableResource[Any]):
    """A vendor's API: address, windows and pacing, the same for all workspaces."""

    settings: dict[str, Any] = Field(default={})

    def options(self, source: Source) -> Any:
        return source.options.model_validate(self.settings, by_name=True)


def worker(resources: Any, owner: str) -> Worker:
    """Put a worker together from a run's resources."""
    return Worker(
        engine=resources.database.engine(),
        vault=resources.credentials.vault(),
        core=resources.limits.core(),
        owner=owner,
    )


WORKER_RESOURCES = frozenset({"database", "credentials", "limits"})
