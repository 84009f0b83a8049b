"""What a Slack login is and what an account may choose."""

from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.login import AccountSettings, Credential, Login, one_of
from ingest_assets.sources.source import Extraction


class SlackCredential(Credential):
    """A bot token, or what an app with token rotation got: its id, its secret and a refresh token.

    Beside it, where wanted, a user token that only searches.
    """

    where: ClassVar = {
        "token": "Slack bot token (xoxb-..., under OAuth & Permissions of your app at https://api.slack.com/apps)",
        "client_secret": "Slack client secret (under Basic Information of your app at https://api.slack.com/apps)",
        "refresh_token": "Slack refresh token (xoxe-1-..., of an app with token rotation)",
        "search_token": "Slack user token (xoxp-..., under OAuth & Permissions of your app at "
        "https://api.slack.com/apps)",
    }

    token: SecretStr | None = Field(default=None, description="the app's bot token (xoxb-...)")
    client_id: str | None = Field(default=None, description="of the app, for --login or with token rotation")
    client_secret: SecretStr | None = Field(
        default=None, description="of the app, for --login or with token rotation"
    )
    refresh_token: SecretStr | None = Field(
        default=None, description="of an app with token rotation (xoxe-1-...); we use it up and keep what follows"
    )

    search_token: SecretStr | None = Field(
        default=None,
        description="a user token (xoxp-...) with search:read, which finds late replies to old threads sooner",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not one_of((self.token,), (self.client_id, self.client_secret, self.refresh_token)):
            raise ValueError("Pass --login or --token, or all of --client-id, --client-secret and --refresh-token")
        return self


class SlackSettings(AccountSettings):
    """What one account chooses."""

    channels: tuple[str, ...] = Field(
        default=(),
        description="channels to read, by name or id, separated by commas; all that the bot is in if none",
    )
    join: bool = Field(default=False, description="join chosen public channels; Slack posts a message there")
    public_only: bool = Field(default=False, description="leave private channels alone; needs fewer scopes")
    emails: bool = Field(default=False, description="insist on people's mail addresses; needs users:read.email")
    search: bool = Field(
        default=False, description="insist on a search token; with --login it is asked for; needs search:read"
    )
    app_class: Literal["auto", "internal", "limited"] = Field(
        default="auto", description="limited: an app that Slack holds to 1 request a minute and 15 messages"
    )


class SlackOptions(SourceOptions):
    """Settings for all Slack accounts."""

    prefix: ClassVar[str] = "SLACK"

    api_url: str = Field(
        default="https://slack.com/api/", pattern=r"^https?://\S+$", description="Slack's Web API."
    )
    authorize_url: str = Field(
        default="https://slack.com/oauth/v2/authorize",
        pattern=r"^https?://\S+$",
        description="Where `connect slack --login` sends the browser.",
    )
    sync_cron: str = Field(default="*/15 * * * *", description="When the schedule `slack_sync` ticks.")
    history_days: float = Field(default=30, gt=0, description="How far back the first sync of a channel reads.")
    watch_days: float = Field(
        default=30, gt=0, description="How long messages are watched for late replies, edits and deletions."
    )
    audit_days: float = Field(
        default=7,
        ge=0,
        description="Within how many days each older message is looked at again; 0: never.",
    )
    audit_threads_days: float = Field(
        default=30, ge=0, description="The same for each thread, whose edited replies show nowhere else; 0: never."
    )
    concurrency: int = Field(default=32, ge=1, le=128, description="Requests in flight for one account.")
    pacing: bool = Field(
        default=True, description="Stay under Slack's limit of requests a minute; false only against a simulator."
    )


SlackLogin = Login[SlackCredential, SlackSettings, SlackOptions]
SlackExtraction = Extraction[SlackCredential, SlackSettings, SlackOptions]
