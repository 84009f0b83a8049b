"""Resources hold configuration only; what they make is plain objects that know nothing of Dagster."""

from typing import Any

import dagster as dg
from pydantic import Field
from sqlalchemy import Engine

from ingest_assets.resources.from_settings import FromSettings, with_settings
from ingest_assets.settings import NO_DATABASE, CoreSettings, SettingsError
from ingest_assets.storage.engine import connect, require_current
from ingest_assets.storage.vault import Vault
from ingest_assets.sync.worker import Worker


class Database(dg.ConfigurableResource[Any]):
    """The PostgreSQL that everything is kept in."""

    url: str = Field(default="", description="Its address. Variable DATABASE_URL.")
    connections: int = Field(default=8, ge=1, description="How many one process keeps open.")

    def engine(self) -> Engine:
        """Return the process's engine. Raises ProcessFault for a database that may not be used."""
        if not self.url:
            raise SettingsError(NO_DATABASE)
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

    encryption_keys: str = Field(
        default="",
        description="Fernet keys, newest first, separated by commas. Variable INGEST_ENCRYPTION_KEYS.",
    )

    def vault(self) -> Vault:
        return Vault.from_setting(self.encryption_keys)


@with_settings(CoreSettings, without={"database_url", "encryption_keys", "web_port"})
class Limits(FromSettings):
    """How long, how many, how much: the core settings."""

    def core(self) -> CoreSettings:
        """Return the settings. Raises SettingsError for one that cannot be used."""
        settings: CoreSettings = self.settings()
        return settings


def worker(database: Database, credentials: Credentials, limits: Limits, owner: str) -> Worker:
    """Put a worker together from a run's resources."""
    return Worker(engine=database.engine(), vault=credentials.vault(), core=limits.core(), owner=owner)
