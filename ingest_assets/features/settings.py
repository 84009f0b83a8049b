"""How the language model is reached, and how much it may cost."""

import re
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from ingest_assets.settings import SettingsGroup


class ModelSettings(SettingsGroup):
    """One endpoint that speaks OpenAI's Chat Completions, for all workspaces."""

    prefix: ClassVar[str] = "OPENAI"

    api_key: SecretStr | None = Field(
        default=None, description="Key of the language model; without one no features are extracted."
    )
    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="Where Chat Completions are served, OpenAI's or another's.",
    )
    model: str = Field(default="gpt-5-mini", description="The model's name; another one extracts anew.")
    mode: Literal["direct", "batch"] = Field(
        default="direct",
        alias="INGEST_LLM_MODE",
        description="`batch` reads by OpenAI's Batch API: within a day, at a discount.",
    )
    batch_price: float = Field(
        default=0.5, ge=0, le=1, description="What a token costs in a batch, as a share of its price."
    )
    parallel: int = Field(default=8, ge=1, le=100, description="Requests that one run has under way at a time.")
    part_tokens: int = Field(
        default=30_000, ge=200, description="A longer transcript is read in parts of at most so many tokens."
    )
    answer_tokens: int = Field(
        default=8_000, ge=100, description="The longest answer; a model's reasoning counts in it."
    )
    timeout_seconds: float = Field(default=180.0, gt=0, description="How long one answer may take.")
    day_tokens: int = Field(
        default=5_000_000, ge=1, description="Tokens, in and out, that a workspace may use a day (UTC)."
    )
    run_tokens: int = Field(default=2_000_000, ge=1, description="Tokens, in and out, for a workspace in one run.")
    input_price: float = Field(
        default=0.0, ge=0, description="US dollars for a million input tokens; 0 counts no money."
    )
    output_price: float = Field(
        default=0.0, ge=0, description="US dollars for a million output tokens; 0 counts no money."
    )
    day_dollars: float | None = Field(
        default=None, gt=0, description="US dollars that a workspace may use a day (UTC), by the prices above."
    )
    run_dollars: float | None = Field(default=None, gt=0, description="US dollars for a workspace in one run.")

    unread_hours: float = Field(
        default=26.0,
        gt=0,
        alias="INGEST_LLM_UNREAD_HOURS",
        description="A transcript that is unread for longer fails the check `read`; a batch may take a day.",
    )
    dropped_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        alias="INGEST_LLM_DROPPED_SHARE",
        description="A larger share of items without evidence, of a day's, fails the check `few_dropped`.",
    )

    @field_validator("api_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        """Strip what a file or a shell leaves around a key; refuse what no HTTP header may carry."""
        if value is None:
            return None
        key = value.get_secret_value().strip().strip("\"'\ufeff").strip()
        place = re.search(r"[^\x21-\x7e]", key)
        if place is not None:
            raise ValueError(
                f"holds a character that no key has, at place {place.start() + 1}; copy the key again"
            )
        return SecretStr(key) if key else None

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        """Leave the method out, which the client adds itself."""
        return value.strip().rstrip("/").removesuffix("/chat/completions")
