"""What a Fathom login is and what an account may choose."""

from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.login import AccountSettings, Credential, Login, one_of
from ingest_assets.sources.source import Extraction


class FathomCredential(Credential):
    """A user's API key, or an OAuth app's id and secret with a refresh token."""

    where: ClassVar = {
        "api_key": "Fathom API key (Settings, API Access, of the user whose sessions are to be read)",
        "client_secret": "Fathom client secret (shown when the app was registered)",
        "refresh_token": "Fathom refresh token (of an OAuth app that the user authorised)",
    }

    api_key: SecretStr | None = Field(default=None, description="of the user whose sessions are to be read")
    client_id: str | None = Field(default=None, description="of an OAuth app")
    client_secret: SecretStr | None = Field(default=None, description="of an OAuth app")
    refresh_token: SecretStr | None = Field(
        default=None, description="of an OAuth app; we use it up and keep what follows"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not one_of((self.api_key,), (self.client_id, self.client_secret, self.refresh_token)):
            raise ValueError("Pass --login, --api-key, or all of --client-id, --client-secret and --refresh-token")
        return self


class FathomSettings(AccountSettings):
    """What one account chooses."""

    newest_sessions: int | None = Field(
        default=None, gt=0, description="take only the newest so many sessions of each look; off by default"
    )


class FathomOptions(SourceOptions):
    """Settings for all Fathom accounts."""

    prefix: ClassVar[str] = "FATHOM"

    api_url: str = Field(
        default="https://api.fathom.ai/external/v1", pattern=r"^https?://\S+$", description="Fathom's API."
    )
    authorize_url: str = Field(
        default="https://fathom.video/external/v1/oauth2/authorize",
        pattern=r"^https?://\S+$",
        description="Where `connect fathom --login` sends the browser.",
    )
    token_url: str = Field(
        default="https://fathom.video/external/v1/oauth2/token",
        pattern=r"^https?://\S+$",
        description="Where OAuth apps get and refresh their tokens.",
    )
    sync_cron: str = Field(default="35 * * * *", description="When the schedule `fathom_sync` ticks.")
    pacing: bool = Field(
        default=True, description="Stay under Fathom's requests a minute; false only against a simulator."
    )


FathomLogin = Login[FathomCredential, FathomSettings, FathomOptions]
FathomExtraction = Extraction[FathomCredential, FathomSettings, FathomOptions]
