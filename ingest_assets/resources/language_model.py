"""Dagster's way to the language model."""

from typing import Any

import dagster as dg
from pydantic import Field

from ingest_assets.features.settings import ModelSettings


class LanguageModel(dg.ConfigurableResource[Any]):
    """Address, model and budget; the key is read from the environment by the run that needs it."""

    api_key: str = ""
    settings: dict[str, Any] = Field(default={})

    def options(self) -> ModelSettings:
        key = {"api_key": self.api_key} if self.api_key else {}
        return ModelSettings.model_validate({**self.settings, **key}, by_name=True)
