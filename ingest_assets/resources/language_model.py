"""Dagster's way to the language model."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ingest_assets.features.settings import ModelSettings
from ingest_assets.resources.from_settings import FromSettings, with_settings
from ingest_assets.sources.login import Clock

if TYPE_CHECKING:
    from ingest_assets.features.client import LanguageModel


@with_settings(ModelSettings)
class LanguageModelApi(FromSettings):
    """One endpoint that speaks OpenAI's Chat Completions: address, model and budget."""

    def options(self) -> ModelSettings:
        """Return the settings. Raises SettingsError for one that cannot be used."""
        settings: ModelSettings = self.settings()
        return settings

    def client(self, clock: Clock | None = None) -> "AbstractAsyncContextManager[LanguageModel]":
        """Open the client that extractions ask with. Entering it raises ModelStopped without a key."""
        from ingest_assets.features.client import LanguageModel  # with the openai library: half a second

        return LanguageModel.open(self.options(), clock or Clock())
