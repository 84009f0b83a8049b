"""What a Gmail login is and what a mailbox may choose."""

from typing import ClassVar, Self

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.gmail.methods import COSTS
from ingest_assets.sources.login import AccountSettings, Credential, Login, one_of
from ingest_assets.sources.source import Extraction

KEY_FIELDS = ("client_email", "private_key")


class GmailCredential(Credential):
    """A user's refresh token with the client it was given to, or a service account and the mailboxes it reads."""

    where: ClassVar = {
        "client_secret": "Google client secret (of the OAuth client, at https://console.cloud.google.com/auth/clients)",
        "refresh_token": "Google refresh token (of the user whose mailbox it is)",
        "service_account": "JSON key of a Google service account, on one line",
    }

    internal: ClassVar = frozenset({"subject"})
    files: ClassVar = frozenset({"service_account"})
    single_use: ClassVar = False

    client_id: str | None = Field(default=None, description="of the OAuth client")
    client_secret: SecretStr | None = Field(default=None, description="of the OAuth client")
    refresh_token: SecretStr | None = Field(default=None, description="of the user whose mailbox it is")
    service_account: SecretStr | None = Field(
        default=None, description="the JSON key of a service account with domain-wide delegation"
    )
    subjects: tuple[str, ...] = Field(default=(), description="mailboxes that the service account reads, A,B")
    subject: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        user = (self.client_id, self.client_secret, self.refresh_token)
        delegated = (self.service_account, self.subjects or self.subject)
        if not one_of(user, delegated):
            raise ValueError(
                "Pass --login, or --client-id, --client-secret and --refresh-token, or --service-account and "
                "--subjects"
            )
        return self

    @field_validator("service_account")
    @classmethod
    def _a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                key = orjson.loads(value.get_secret_value())
            except orjson.JSONDecodeError:
                key = None
            if not isinstance(key, dict) or any(not isinstance(key.get(name), str) for name in KEY_FIELDS):
                raise ValueError("is not the JSON key of a service account, as Google Cloud lets you download it")
        return value

    def first_token(self) -> str | None:
        if self.refresh_token is not None:
            return self.refresh_token.get_secret_value()
        key = "" if self.service_account is None else self.service_account.get_secret_value()
        return None if self.subject is None else f"{self.subject}\0{key}"


class GmailSettings(AccountSettings):
    """What one mailbox chooses."""

    labels: tuple[str, ...] = Field(
        default=(), description="labels to read, by name or id, separated by commas; all mail if none"
    )
    exclude_labels: tuple[str, ...] = Field(
        default=(), description="leave out threads with one of these labels, by name or id"
    )
    newest_threads: int | None = Field(
        default=None, gt=0, description="take only the newest so many threads of each label; off by default"
    )


class GmailOptions(SourceOptions):
    """Settings for all mailboxes."""

    prefix: ClassVar[str] = "GMAIL"

    api_url: str = Field(
        default="https://gmail.googleapis.com/", pattern=r"^https?://\S+$", description="The Gmail API."
    )
    batch_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Its batch endpoint; `batch/gmail/v1` under GMAIL_API_URL if empty.",
    )
    authorize_url: str = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth",
        alias="GOOGLE_AUTHORIZE_URL",
        pattern=r"^https?://\S+$",
        description="Where `connect gmail --login` sends the browser.",
    )
    token_url: str = Field(
        default="https://oauth2.googleapis.com/token",
        alias="GOOGLE_TOKEN_URL",
        pattern=r"^https?://\S+$",
        description="Where access tokens come from.",
    )
    sync_cron: str = Field(default="*/10 * * * *", description="When the schedule `gmail_sync` ticks.")
    history_days: float = Field(default=30, gt=0, description="How far back the first sync of a mailbox reads.")
    max_message_bytes: int = Field(
        default=10_000_000, ge=1, description="A larger message is stored without its body."
    )
    batch_size: int = Field(default=50, ge=1, le=100, description="Threads a batch request; Google advises 50.")
    units_per_minute: int = Field(
        default=6000,
        ge=100,
        description="Quota units a minute and mailbox; 15000 for projects older than 2026-05.",
    )
    unit_costs: str = Field(
        default="",
        description="Other prices than those of 2026-05, `threads.get=10,attachments.get=5` for older projects.",
    )
    pacing: bool = Field(default=True, description="Stay under the quota; false only against a simulator.")

    @field_validator("unit_costs")
    @classmethod
    def _prices(cls, value: str) -> str:
        for entry in filter(None, value.split(",")):
            method, _, units = entry.strip().partition("=")
            if method not in COSTS or not units.isdecimal() or not int(units):
                raise ValueError(f"{entry.strip()!r} is not one of {', '.join(f'{name}=N' for name in COSTS)}")
        return value

    @property
    def costs(self) -> dict[str, int]:
        """What each method costs."""
        own = (entry.strip().partition("=") for entry in filter(None, self.unit_costs.split(",")))
        return COSTS | {method: int(units) for method, _, units in own}

    @property
    def batch_address(self) -> str:
        return self.batch_url or f"{self.api_url.rstrip('/')}/batch/gmail/v1"


GmailLogin = Login[GmailCredential, GmailSettings, GmailOptions]
GmailExtraction = Extraction[GmailCredential, GmailSettings, GmailOptions]
