"""The Slack workspaces the simulator plays, who may call for them, and what they hold."""

import random
import string
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256

from ingest_simulator.errors import OrderError
from ingest_simulator.slack.channel import Channel
from ingest_simulator.slack.payloads import SLACKBOT, channel_join
from ingest_simulator.slack.timestamps import key_at
from ingest_simulator.wire import Json

BOT_SCOPES = (
    "channels:history",
    "channels:join",
    "channels:read",
    "groups:history",
    "groups:read",
    "team:read",
    "users:read",
    "users:read.email",
)
ROTATING_LIFETIME = 43_200  # seconds Slack gives a rotating access token: 12 hours
_ID_ALPHABET = string.ascii_uppercase + string.digits


def slack_id(rng: random.Random, kind: str) -> str:
    """Return an id as Slack makes them, from a seeded source."""
    return f"{kind}0" + "".join(rng.choices(_ID_ALPHABET, k=9))


@dataclass(slots=True)
class User:
    """A member of a workspace; an unlisted one is known to users.info only."""

    id: str
    name: str
    real_name: str
    deleted: bool = False
    listed: bool = True
    is_bot: bool = False

    def payload(self, team: str, *, email: bool) -> Json:
        """Return the user as the API shows it."""
        profile = {
            "avatar_hash": sha256(self.id.encode()).hexdigest()[:12],
            "status_text": "",
            "real_name": self.real_name,
            "display_name": self.name,
            "real_name_normalized": self.real_name,
            "display_name_normalized": self.name,
            "image_24": f"https://avatars.slack-edge.com/{self.id}_24.png",
            "image_72": f"https://avatars.slack-edge.com/{self.id}_72.png",
            "team": team,
        }
        if email and not self.is_bot and self.id != SLACKBOT:
            profile["email"] = f"{self.name}@example.com"
        shown: Json = {
            "id": self.id,
            "team_id": team,
            "name": self.name,
            "deleted": self.deleted,
            "profile": profile,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }
        if not self.deleted:  # Slack leaves these out for deactivated people
            shown |= {
                "color": "9f69e7",
                "real_name": self.real_name,
                "tz": "Europe/London",
                "tz_label": "Greenwich Mean Time",
                "tz_offset": 0,
                "is_admin": False,
                "is_owner": False,
                "is_primary_owner": False,
                "is_restricted": False,
                "is_ultra_restricted": False,
            }
        return shown


@dataclass(slots=True)
class Rotation:
    """A workspace's app; with token rotation each refresh token works once."""

    client_id: str
    client_secret: str
    refresh_token: str
    expires_in: int = ROTATING_LIFETIME
    issued: int = 0
    rotates: bool = True
    """False: an app whose tokens last, which only logs in with its id and secret."""


@dataclass(slots=True)
class Settings:
    """How Slack treats the app in this workspace."""

    org_wide: bool = False  # the token is of a whole Enterprise organisation
    limited: bool = False  # 15 objects a page and one request a minute for reading messages
    enforce_limits: bool = False
    oldest_first: bool = False
    empty_pages: bool = False
    page_cap: int | None = None
    repeat_parent: bool = True


@dataclass(slots=True)
class Search:
    """How search.messages behaves; see `searching`."""

    delay: float = 0.0
    kept: float = 0.0
    last_page: int = 100
    zone: str = "Europe/London"
    answers: dict[tuple[str, str, int, int], tuple[float, bytes]] = field(default_factory=dict)
    """By user, query, count and page: when it was given, and the answer."""


@dataclass(slots=True, eq=False)
class Team:
    """A workspace."""

    id: str
    name: str
    rng: random.Random
    bot: User
    settings: Settings
    bot_id: str
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    rotation: Rotation | None = None
    search: Search = field(default_factory=Search)
    recent: dict[str, deque[float]] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """The name in the workspace's address."""
        return "".join(character if character.isalnum() else "-" for character in self.name.lower())

    def channel(self, wanted: str) -> Channel:
        """Return a channel by its id or by its name."""
        if wanted in self.channels:
            return self.channels[wanted]
        for channel in self.channels.values():
            if channel.name == wanted:
                return channel
        raise OrderError(f"workspace {self.id} has no channel {wanted}")

    def people(self) -> list[str]:
        """Return the ids of the ordinary, active, listed users."""
        return [
            user.id
            for user in self.users.values()
            if user.listed and not user.deleted and not user.is_bot and user.id != SLACKBOT
        ]

    def is_member(self, channel: Channel) -> bool:
        """Whether the app's bot is in the channel."""
        return self.bot.id in channel.members

    def join(self, channel: Channel, now: float) -> None:
        """Put the bot into the channel, with the notice everyone sees."""
        channel.members.add(self.bot.id)
        key = channel.free_key(key_at(now))
        channel.post(key, channel_join(self.bot.id, key), author=self.bot.id)


@dataclass(slots=True, eq=False)
class Grant:
    """What one access token stands for."""

    team: Team
    scopes: frozenset[str]
    revoked: bool = False
    expires_at: float | None = None
    user: str | None = None
    """Whose token it is, where not the bot's."""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __post_init__(self) -> None:
        self.allow(self.scopes)

    def allow(self, scopes: frozenset[str]) -> None:
        """Change what the token may do."""
        self.scopes = scopes
        self.headers = ((b"x-oauth-scopes", self.provided.encode()),)

    @property
    def provided(self) -> str:
        """The scopes as Slack lists them."""
        return ",".join(sorted(self.scopes))


@dataclass(slots=True, eq=False)
class SlackWorld:
    """All workspaces and all tokens ever issued."""

    teams: dict[str, Team] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def team(self, team_id: str) -> Team:
        """Return a workspace by its id."""
        try:
            return self.teams[team_id]
        except KeyError:
            raise OrderError(f"there is no Slack workspace {team_id}") from None

    def token_of(self, team: Team) -> str:
        """Return the newest token of the workspace's bot."""
        found = reversed(self.grants.items())
        return next(token for token, grant in found if grant.team is team and grant.user is None)

    def issue(self, token: str, grant: Grant) -> None:
        """Make a token known."""
        if token in self.grants:
            raise OrderError("that token is in use already")
        self.grants[token] = grant

    def rotated(self, client_id: str) -> Team | None:
        """Return the workspace whose app has this client id."""
        for team in self.teams.values():
            if team.rotation is not None and team.rotation.client_id == client_id:
                return team
        return None
