"""Who is told of incidents, and when."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime, time
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from ingest_assets.settings import SettingsError, SettingsGroup

HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
ENCODED = "whsec_"  # a key of Standard Webhooks: base64 follows


class AlertSettings(SettingsGroup):
    """Receivers of messages about incidents; without any, incidents are only listed."""

    prefix: ClassVar[str] = "INGEST_ALERT"

    slack_url: SecretStr | None = Field(
        default=None, description="A Slack incoming webhook that is told of incidents."
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="An address that incidents are posted to, as JSON (Standard Webhooks)."
    )
    webhook_key: SecretStr | None = Field(
        default=None, description="Signs what is posted there: HMAC-SHA256 over id, time and body."
    )
    smtp_host: str | None = Field(default=None, description="A mail server that takes messages about incidents.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`tls` from the first byte (port 465), or `none` on a trusted network."
    )
    smtp_user: str | None = Field(default=None, description="Its user, if it asks for one.")
    smtp_password: SecretStr | None = Field(default=None, description="Its password.")
    mail_from: str | None = Field(default=None, description="The sender of these mails.")
    mail_to: str | None = Field(default=None, description="Their receivers, separated by commas.")
    minutes: float = Field(
        default=15.0, ge=0, description="How old trouble has to be that may pass by itself before it is told."
    )
    escalate_hours: float = Field(
        default=4.0, gt=0, description="An incident that is open for longer is told again."
    )
    quiet_hours: str | None = Field(
        default=None, description="`22:00-07:00`: then only what is critical is told, the rest afterwards."
    )
    time_zone: str = Field(default="UTC", description="Of the quiet hours: `Europe/Berlin`, say.")
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=30, description="How long a receiver may take to answer."
    )

    @field_validator("slack_url", "webhook_url")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                parts = urlsplit(value.get_secret_value())
                usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
            except ValueError:
                usable = False
            if not usable:
                raise ValueError("is not an address like https://host/path")
        return value

    @field_validator("webhook_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().startswith(ENCODED):
            try:
                base64.b64decode(value.get_secret_value().removeprefix(ENCODED), validate=True)
            except ValueError:
                raise ValueError("begins with whsec_ and is not base64 after that") from None
        return value

    @field_validator("mail_from", "mail_to")
    @classmethod
    def _mailboxes(cls, value: str | None) -> str | None:
        if value is not None and not all(ADDRESS.fullmatch(one.strip()) for one in value.split(",")):
            raise ValueError("is not a mail address, or several separated by commas")
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            found = HOURS.fullmatch(value.strip())
            if found is None or found.group(1, 2) == found.group(3, 4):
                raise ValueError("is not a span of the day like 22:00-07:00")
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            raise ValueError("is not a time zone like Europe/Berlin or UTC") from None
        return value

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Build the group. Raises SettingsError, also where settings are missing that belong together."""
        loaded = super().load(environ)
        if loaded.smtp_host and not (loaded.mail_from and loaded.mail_to):
            raise SettingsError("INGEST_ALERT_SMTP_HOST needs INGEST_ALERT_MAIL_FROM and INGEST_ALERT_MAIL_TO.")
        return loaded

    @property
    def any(self) -> bool:
        """Whether anybody is told."""
        return bool(self.slack_url or self.webhook_url or self.smtp_host)

    def quiet(self, now: datetime) -> bool:
        """Tell whether it is within the quiet hours, in local time of the time zone.

        Where clocks are set back, an hour that comes twice is quiet twice; where they are set forward, one that
        is left out is left out.
        """
        if self.quiet_hours is None:
            return False
        begin, end = (time.fromisoformat(part) for part in self.quiet_hours.strip().split("-"))
        wall = now.astimezone(ZoneInfo(self.time_zone)).time()
        return begin <= wall < end if begin < end else wall >= begin or wall < end
