"""Dagster's way to who is told of incidents."""

from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.resources.from_settings import FromSettings, with_settings


@with_settings(AlertSettings)
class Alerts(FromSettings):
    """Receivers of messages about incidents, and when they are told."""

    def options(self) -> AlertSettings:
        """Return the settings. Raises SettingsError for one that cannot be used."""
        settings: AlertSettings = self.settings()
        return settings
