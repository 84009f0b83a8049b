"""The program as configured by its environment: settings, database, vault."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from ingest_assets.features.settings import ModelSettings
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.settings import NO_DATABASE, CoreSettings, SettingsError, SettingsGroup, refuse_unknown
from ingest_assets.sources import SOURCES
from ingest_assets.sources.source import Source
from ingest_assets.storage.engine import connect, require_current
from ingest_assets.storage.vault import Vault
from ingest_assets.sync.worker import Worker

if TYPE_CHECKING:
    from ingest_assets.features.extract import Extractor


def setting_groups() -> list[type[SettingsGroup]]:
    """Return all groups of settings."""
    return [CoreSettings, *(source.options for source in SOURCES), ModelSettings, AlertSettings]


@dataclass(frozen=True)
class App:
    """Settings that were read and found good, and what is built from them when it is needed."""

    core: CoreSettings
    options: Mapping[str, Any]
    model: ModelSettings
    alerts: AlertSettings

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "App":
        """Read the environment. Raises SettingsError for an unknown or malformed setting."""
        refuse_unknown(environ, setting_groups())
        return cls(
            CoreSettings.load(environ),
            {source.name: source.options.load(environ) for source in SOURCES},
            ModelSettings.load(environ),
            AlertSettings.load(environ),
        )

    @property
    def database_url(self) -> str:
        """Raises SettingsError when there is none."""
        if self.core.database_url is None:
            raise SettingsError(NO_DATABASE)
        return self.core.database_url.get_secret_value()

    @cached_property
    def any_engine(self) -> Engine:
        """Connect to a database of any version."""
        return connect(self.database_url, pool_size=self.core.connections)

    @cached_property
    def engine(self) -> Engine:
        """Connect to a database that has our schema; raises IngestError otherwise."""
        require_current(self.any_engine)
        return self.any_engine

    @cached_property
    def dagster_engine(self) -> Engine:
        """Connect to Dagster's own database, which is ours unless DAGSTER_POSTGRES_URL names another."""
        return connect(os.environ.get("DAGSTER_POSTGRES_URL") or self.database_url, pool_size=1)

    @cached_property
    def vault(self) -> Vault:
        keys = self.core.encryption_keys
        return Vault.from_setting(None if keys is None else keys.get_secret_value())

    def worker(self, owner: str) -> Worker:
        return Worker(engine=self.engine, vault=self.vault, core=self.core, owner=owner)

    def extractor(self, owner: str) -> "Extractor":
        from ingest_assets.features.extract import Extractor  # with the openai library: half a second

        length = timedelta(seconds=self.core.lease_seconds)
        return Extractor(engine=self.engine, settings=self.model, owner=owner, lease_length=length)

    def options_of(self, source: Source) -> Any:
        return self.options[source.name]
