"""What a Gong login is and what an account may choose."""

import hashlib
from typing import ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.gong.hosts import pattern_of
from ingest_assets.sources.login import AccountSettings, Credential, Login, one_of
from ingest_assets.sources.source import Extraction

NAME_BYTES = 8


class GongCredential(Credential):
    """An access key with its secret, or an OAuth app's id and secret with a refresh token."""

    where: ClassVar = {
        "access_key": "Gong access key (made by a technical administrator at https://app.gong.io/company/api)",
        "access_key_secret": "Gong access key secret (shown once, when the key was made)",
        "client_secret": "Gong client secret (of the integration, at https://app.gong.io/company/api, OAuth)",
        "refresh_token": "Gong refresh token (of an OAuth app that the customer authorised)",
    }

    access_key: SecretStr | None = Field(default=None, description="made by a technical administrator")
    access_key_secret: SecretStr | None = Field(default=None, description="shown once, with the access key")
    client_id: str | None = Field(default=None, description="of an OAuth app")
    client_secret: SecretStr | None = Field(default=None, description="of an OAuth app")
    refresh_token: SecretStr | None = Field(
        default=None, description="of an OAuth app; we use it up and keep what follows"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        key = (self.access_key, self.access_key_secret)
        if not one_of(key, (self.client_id, self.client_secret, self.refresh_token)):
            raise ValueError(
                "Pass --login, or --access-key and --access-key-secret, or --client-id, --client-secret and "
                "--refresh-token"
            )
        return self

    def fingerprint(self) -> str:
        """Tell logins apart that may not see what company they belong to."""
        public = self.client_id if self.access_key is None else self.access_key.get_secret_value()
        return hashlib.blake2b(str(public).encode(), digest_size=NAME_BYTES).hexdigest()


class GongSettings(AccountSettings):
    """What one account chooses."""

    base_url: str | None = Field(default=None, description="the customer's own host, from app.gong.io/company/api")
    include_private: bool = Field(default=False, description="store private calls too")
    newest_calls: int | None = Field(
        default=None, gt=0, description="take only the newest so many calls of each look; off by default"
    )


class GongOptions(SourceOptions):
    """Settings for all Gong accounts."""

    prefix: ClassVar[str] = "GONG"

    api_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Where accounts without a host of their own are read.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Hosts besides Gong's own that may be sent credentials, separated by commas: "
        "`gong.example.com`, `http://10.0.0.7:8080`, `*.example.com`.",
    )
    authorize_url: str = Field(
        default="https://app.gong.io/oauth2/authorize",
        pattern=r"^https?://\S+$",
        description="Where `connect gong --login` sends the browser.",
    )
    token_url: str = Field(
        default="https://app.gong.io/oauth2/generate-customer-token",
        pattern=r"^https?://\S+$",
        description="Where OAuth apps get and refresh their tokens.",
    )
    sync_cron: str = Field(default="5 * * * *", description="When the schedule `gong_sync` ticks.")
    calls_per_day: int = Field(
        default=10_000, ge=1, description="Requests a day that Gong grants a company, all its keys together."
    )
    backfill_share: float = Field(
        default=0.5, gt=0, le=1, description="The share of the day's requests that reading history may use up."
    )
    pacing: bool = Field(
        default=True, description="Stay under Gong's 3 requests a second; false only against a simulator."
    )

    @field_validator("allowed_hosts", "api_url")
    @classmethod
    def _addresses_only(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            pattern_of(part)
        return value

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the operator allows."""
        listed = (part.strip() for part in [*self.allowed_hosts.split(","), self.api_url])
        return tuple(part for part in listed if part)


GongLogin = Login[GongCredential, GongSettings, GongOptions]
GongExtraction = Extraction[GongCredential, GongSettings, GongOptions]
