"""What a Slack login is, what an account may choose, and how both are probed before they are stored."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from ingest_assets.errors import CredentialRejected, IngestError
from ingest_assets.settings import SettingsGroup
from ingest_assets.sources.base import AccountSettings, Credential, Login, Probe, one_of
from ingest_assets.sources.slack.client import SlackClient

PUBLIC_SCOPES = frozenset({"channels:read", "channels:history", "users:read"})
PRIVATE_SCOPES = frozenset({"groups:read", "groups:history"})
JOIN_SCOPE = "channels:join"


class SlackCredential(Credential):
    """A bot token, or what an app with token rotation got: its id, its secret and a refresh token."""

    token: SecretStr | None = Field(default=None, description="the app's bot token (xoxb-...)")
    client_id: str | None = Field(default=None, description="of an app with token rotation")
    client_secret: SecretStr | None = Field(default=None, description="of an app with token rotation")
    refresh_token: SecretStr | None = Field(
        default=None, description="of an app with token rotation (xoxe-1-...); we use it up and keep what follows"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not one_of((self.token,), (self.client_id, self.client_secret, self.refresh_token)):
            raise ValueError("Pass --token, or all of --client-id, --client-secret and --refresh-token")
        return self


class SlackSettings(AccountSettings):
    """What one account chooses."""

    channels: tuple[str, ...] = Field(
        default=(),
        description="channels to read, by name or id, separated by commas; all that the bot is in if none",
    )
    join: bool = Field(default=False, description="join chosen public channels; Slack posts a message there")
    public_only: bool = Field(default=False, description="leave private channels alone; needs fewer scopes")
    app_class: Literal["auto", "internal", "limited"] = Field(
        default="auto", description="limited: an app that Slack holds to 1 request a minute and 15 messages"
    )


class SlackOptions(SettingsGroup):
    """Settings for all Slack accounts."""

    prefix: ClassVar[str] = "SLACK"

    api_url: str = Field(
        default="https://slack.com/api/", pattern=r"^https?://\S+$", description="Slack's Web API."
    )
    sync_cron: str = Field(default="*/15 * * * *", description="When the schedule `slack_sync` ticks.")
    history_days: float = Field(default=30, gt=0, description="How far back the first sync of a channel reads.")
    watch_days: float = Field(
        default=30, gt=0, description="How long messages are watched for late replies, edits and deletions."
    )
    concurrency: int = Field(default=32, ge=1, le=128, description="Requests in flight for one account.")
    pacing: bool = Field(
        default=True, description="Stay under Slack's limit of requests a minute; false only against a simulator."
    )


async def probe(login: Login) -> Sequence[Probe]:
    """Log in, check the scopes and find the channels. Raises SourceError or IngestError, in one sentence."""
    settings: SlackSettings = login.settings
    async with SlackClient.open(login, in_flight=1, paced=False, limited=False) as client:
        identity = await client.identity()
        needed = PUBLIC_SCOPES | (frozenset() if settings.public_only else PRIVATE_SCOPES)
        needed |= {JOIN_SCOPE} if settings.join else set()
        if client.granted and (missing := needed - client.granted):
            raise CredentialRejected(
                f"The Slack app lacks the scopes {', '.join(sorted(missing))}; add them under OAuth & Permissions,"
                " reinstall the app, and connect again."
            )
        channels, warnings = await _find(client, settings)
    return [
        Probe(
            external_id=identity["team_id"],
            name=identity["team"],
            settings=settings.model_copy(update={"channels": channels}).model_dump(mode="json"),
            warnings=warnings,
        )
    ]


async def _find(client: SlackClient, settings: SlackSettings) -> tuple[tuple[str, ...], list[str]]:
    """Turn names into ids, which survive a renaming."""
    if not settings.channels:
        return (), []
    visible: dict[str, dict[str, Any]] = {}
    types = "public_channel" if settings.public_only else "public_channel,private_channel"
    async with aclosing(client.visible_channels(types)) as pages:
        async for channels in pages:
            visible |= {channel["id"]: channel for channel in channels}
    by_name = {channel.get("name"): channel for channel in visible.values()}
    found, warnings = [], []
    for wanted in settings.channels:
        channel = visible.get(wanted) or by_name.get(wanted.removeprefix("#"))
        if channel is None:
            raise IngestError(
                f"Slack shows this bot no channel {wanted!r}; check the name, and invite the bot if it is private."
            )
        if not channel.get("is_member") and not settings.join:
            warnings.append(f"The bot is not in {wanted}; invite it, or connect with --join.")
        found.append(channel["id"])
    return tuple(found), warnings
