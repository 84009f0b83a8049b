"""What a Gong login is, what an account may choose, and how both are probed before they are stored."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from ingest_assets.errors import CredentialRejected, IngestError, SourceError, Unavailable
from ingest_assets.settings import SettingsGroup
from ingest_assets.sources.base import AccountSettings, Credential, Login, Probe, one_of
from ingest_assets.sources.gong.client import ONLY_NAMES, SCOPES, GongClient
from ingest_assets.sources.gong.hosts import pattern_of

PROBED = timedelta(hours=1)
NAME_BYTES = 8

NO_HOST = (
    "A Gong key works at one host only: pass --base-url, which a technical administrator reads at "
    "app.gong.io/company/api (https://us-12345.api.gong.io for one)."
)


class GongCredential(Credential):
    """An access key with its secret, or an OAuth app's id and secret with a refresh token."""

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
                "Pass --access-key and --access-key-secret, or --client-id, --client-secret and --refresh-token"
            )
        return self

    def basic(self) -> httpx.Auth:
        if self.access_key is None or self.access_key_secret is None:
            raise CredentialRejected("This Gong account has no access key; connect it again.")
        return httpx.BasicAuth(self.access_key.get_secret_value(), self.access_key_secret.get_secret_value())

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


class GongOptions(SettingsGroup):
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
    token_url: str = Field(
        default="https://app.gong.io/oauth2/generate-customer-token",
        pattern=r"^https?://\S+$",
        description="Where OAuth apps refresh their tokens.",
    )
    sync_cron: str = Field(default="0 * * * *", description="When the schedule `gong_sync` ticks.")
    history_days: float = Field(default=30, gt=0, description="How far back the first sync of an account reads.")
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


async def probe(login: Login) -> Sequence[Probe]:
    """Log in and try what a sync will do. Raises SourceError or IngestError, in one sentence."""
    settings: GongSettings = login.settings
    if login.tokens is None and settings.base_url is None and not login.options.api_url:
        raise IngestError(NO_HOST)
    now = login.clock.now()
    async with GongClient.open(login) as client:
        host = urlsplit(client.base_url).hostname or ""
        warnings = _lacking(host, await client.refusals(now - PROBED, now))
        workspaces: list[Any] = []
        try:
            workspaces = [workspace async for page in client.workspaces() for workspace in page]
        except (CredentialRejected, Unavailable) as error:
            warnings.append(f"{error} Without it workspaces have no names.")
    known = sorted(
        (workspace for workspace in workspaces if isinstance(workspace, dict) and workspace.get("id")),
        key=lambda workspace: (len(workspace["id"]), workspace["id"]),
    )
    return [
        Probe(
            external_id=known[0]["id"] if known else login.credential.fingerprint(),
            name=known[0].get("name") or host if known else host,
            settings=settings.model_dump(mode="json"),
            warnings=warnings,
        )
    ]


def _lacking(host: str, refused: Mapping[str, SourceError]) -> list[str]:
    """Warn of what is missing. Raises CredentialRejected where a sync would fail for it."""
    if needed := [SCOPES[method] for method in refused if method not in ONLY_NAMES]:
        raise CredentialRejected(
            f"Gong at {host} knows the login, which lacks what a sync needs: {', '.join(needed)}. "
            "Grant it and connect again."
        )
    return [f"{error} Without it users have no names." for error in refused.values()]
