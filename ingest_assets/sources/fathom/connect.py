"""What a Fathom login is, what an account may choose, and how both are probed before they are stored."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from ingest_assets.settings import SettingsGroup
from ingest_assets.sources.base import AccountSettings, Credential, Login, Probe, one_of
from ingest_assets.sources.fathom.client import FathomClient

QUIET = timedelta(days=30)  # without any session: then the login's user most likely may see none
DEFAULT_NAME = "default"
NOTHING = (
    "This login sees no session of the last 30 days. A key sees what its user recorded and what is shared with "
    "that user: use the key of a user with a wide view, or connect more keys."
)


class FathomCredential(Credential):
    """A user's API key, or an OAuth app's id and secret with a refresh token."""

    api_key: SecretStr | None = Field(default=None, description="of the user whose sessions are to be read")
    client_id: str | None = Field(default=None, description="of an OAuth app")
    client_secret: SecretStr | None = Field(default=None, description="of an OAuth app")
    refresh_token: SecretStr | None = Field(
        default=None, description="of an OAuth app; we use it up and keep what follows"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not one_of((self.api_key,), (self.client_id, self.client_secret, self.refresh_token)):
            raise ValueError("Pass --api-key, or all of --client-id, --client-secret and --refresh-token")
        return self


class FathomSettings(AccountSettings):
    """What one account chooses."""

    newest_sessions: int | None = Field(
        default=None, gt=0, description="take only the newest so many sessions of each look; off by default"
    )


class FathomOptions(SettingsGroup):
    """Settings for all Fathom accounts."""

    prefix: ClassVar[str] = "FATHOM"

    api_url: str = Field(
        default="https://api.fathom.ai/external/v1", pattern=r"^https?://\S+$", description="Fathom's API."
    )
    token_url: str = Field(
        default="https://fathom.video/external/v1/oauth2/token",
        pattern=r"^https?://\S+$",
        description="Where OAuth apps refresh their tokens.",
    )
    sync_cron: str = Field(default="0 * * * *", description="When the schedule `fathom_sync` ticks.")
    history_days: float = Field(default=30, gt=0, description="How far back the first sync of an account reads.")
    pacing: bool = Field(
        default=True, description="Stay under Fathom's requests a minute; false only against a simulator."
    )


async def probe(login: Login) -> Sequence[Probe]:
    """Log in and list once. Fathom does not tell whose key it is: an account is known by the name it is given."""
    settings: FathomSettings = login.settings
    now = login.clock.now()
    async with FathomClient.open(login) as client:
        warnings = [] if await client.sees_any(now - QUIET, now) else [NOTHING]
    return [
        Probe(external_id=None, name=DEFAULT_NAME, settings=settings.model_dump(mode="json"), warnings=warnings)
    ]
