"""The control plane's Slack part: workspaces, channels and tokens come and go, people talk."""

import random
from typing import Annotated, Literal

from pydantic import Field
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.orders import Order, order
from ingest_simulator.slack import seeding
from ingest_simulator.slack.channel import Channel
from ingest_simulator.slack.searching import SetSearch, set_search
from ingest_simulator.slack.speaking import SPEECH
from ingest_simulator.slack.timestamps import MICROS, format_ts, key_at
from ingest_simulator.slack.world import (
    BOT_SCOPES,
    ROTATING_LIFETIME,
    Grant,
    Rotation,
    Settings,
    Team,
    User,
    slack_id,
)
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

Count = Annotated[int, Field(ge=0)]
HOUR = 3600 * MICROS


class ChannelSpec(Order):
    """A channel to make."""

    name: Annotated[str, Field(min_length=1)]
    id: str | None = None
    private: bool = False
    member: bool = True
    archived: bool = False


class WorldSpec(Order):
    """The seeded content of a new workspace, per channel."""

    channels: Count | list[ChannelSpec] = 1
    messages: Count = 0
    threads: Count = 0
    replies: Count = 0
    broadcasts: Count = 0
    span_hours: Annotated[float, Field(gt=0)] = 24.0
    ends_hours_ago: Annotated[float, Field(ge=0)] = 0.0


class AddTeam(Order):
    """A workspace, its token and how Slack treats it."""

    token: Annotated[str, Field(min_length=1)]
    id: str | None = None
    name: str = "Acme"
    seed: int = 0
    scopes: tuple[str, ...] = BOT_SCOPES
    app_class: Literal["internal", "limited"] = "internal"
    org_wide: bool = False
    enforce_limits: bool = False
    order: Literal["newest_first", "oldest_first"] = "newest_first"
    empty_pages: bool = False
    page_cap: Annotated[int, Field(ge=1)] | None = None
    repeat_parent: bool = True
    client_id: str | None = None
    client_secret: str | None = None
    refresh_token: str | None = None
    expires_in: Annotated[int, Field(ge=1)] | None = None
    rotates: bool = True
    users: Count = 8
    world: WorldSpec = WorldSpec(channels=0)


class AddChannel(ChannelSpec):
    """A channel for an existing workspace."""

    team: str


class SetMembership(Order):
    """Whether the bot is in a channel, and whether that is closed to new messages."""

    team: str
    channel: str
    member: bool
    archived: bool | None = None


class AddUser(Order):
    """A person; an existing id is changed."""

    team: str
    name: str
    id: str | None = None
    real_name: str | None = None
    deleted: bool = False
    listed: bool = True


class SetToken(Order):
    """A change to a token, the workspace's newest unless one is named; an unknown one is issued."""

    team: str
    token: str | None = None
    revoked: bool | None = None
    scopes: tuple[str, ...] | None = None


class OneTeam(Order):
    """Which workspace."""

    team: str


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim/slack."""
    return [
        order(simulator, "/slack/team", AddTeam, _add_team),
        order(simulator, "/slack/channel", AddChannel, _add_channel),
        order(simulator, "/slack/membership", SetMembership, _set_membership),
        order(simulator, "/slack/user", AddUser, _add_user),
        order(simulator, "/slack/token", SetToken, _set_token),
        order(simulator, "/slack/state", OneTeam, _state, method="GET"),
        order(simulator, "/slack/search", SetSearch, set_search),
        *(order(simulator, f"/slack/{verb}", fields, obey) for verb, fields, obey in SPEECH),
    ]


def _add_team(simulator: Simulator, wanted: AddTeam) -> Json:
    world = simulator.slack
    if wanted.token in world.grants:
        raise OrderError("that token is in use already")
    # the token tells apart workspaces that were given the same seed
    rng = random.Random(f"{wanted.seed}/{wanted.token}")  # noqa: S311 - repeatable on purpose
    team_id = wanted.id or slack_id(rng, "T")
    if team_id in world.teams:
        raise OrderError(f"there is a workspace {team_id} already")
    bot = User(slack_id(rng, "U"), "ingestbot", "Ingest Bot", is_bot=True)
    settings = Settings(
        limited=wanted.app_class == "limited",
        org_wide=wanted.org_wide,
        enforce_limits=wanted.enforce_limits,
        oldest_first=wanted.order == "oldest_first",
        empty_pages=wanted.empty_pages,
        page_cap=wanted.page_cap,
        repeat_parent=wanted.repeat_parent,
    )
    team = Team(team_id, wanted.name, rng, bot, settings, slack_id(rng, "B"), rotation=_rotation(wanted))
    seeding.add_people(team, wanted.users)
    now = simulator.clock.now()
    _populate(team, wanted.world, now)
    rotates = team.rotation is not None and team.rotation.rotates
    lifetime = team.rotation.expires_in if team.rotation is not None and rotates else wanted.expires_in
    expires_at = None if lifetime is None else now + lifetime
    world.teams[team_id] = team
    world.issue(wanted.token, Grant(team, frozenset(wanted.scopes), expires_at=expires_at))
    return {
        "team_id": team_id,
        "bot_user_id": bot.id,
        "users": [user.id for user in team.users.values() if not user.is_bot and user.name != "slackbot"],
        "channels": {channel.name: channel.id for channel in team.channels.values()},
    }


def _rotation(wanted: AddTeam) -> Rotation | None:
    given = (wanted.client_id, wanted.client_secret, wanted.refresh_token)
    if not any(given):
        return None
    refresh_token = wanted.refresh_token if wanted.rotates else ""
    if wanted.client_id is None or wanted.client_secret is None or refresh_token is None:
        raise OrderError("token rotation needs client_id, client_secret and refresh_token")
    lifetime = wanted.expires_in or ROTATING_LIFETIME
    return Rotation(wanted.client_id, wanted.client_secret, refresh_token, lifetime, rotates=wanted.rotates)


def _populate(team: Team, spec: WorldSpec, now: float) -> None:
    made = spec.channels
    if isinstance(made, int):
        names = ["general", *(f"customer-{place}" for place in range(1, made))][:made]
        made = [ChannelSpec(name=name) for name in names]
    end = key_at(now) - round(spec.ends_hours_ago * HOUR)
    span = round(spec.span_hours * HOUR)
    content = seeding.Content(spec.messages, spec.threads, spec.replies, spec.broadcasts, span, end)
    for channel in made:
        seeding.fill(team, _make(team, channel, (end - span) / MICROS), content)


def _make(team: Team, spec: ChannelSpec, created: float) -> Channel:
    return seeding.add_channel(
        team,
        spec.name,
        created,
        channel_id=spec.id,
        private=spec.private,
        member=spec.member,
        archived=spec.archived,
    )


def _add_channel(simulator: Simulator, wanted: AddChannel) -> Json:
    return {"channel": _make(simulator.slack.team(wanted.team), wanted, simulator.clock.now()).id}


def _set_membership(simulator: Simulator, wanted: SetMembership) -> Json:
    team = simulator.slack.team(wanted.team)
    channel = team.channel(wanted.channel)
    if wanted.member:
        channel.members.add(team.bot.id)
    else:
        channel.members.discard(team.bot.id)
    if wanted.archived is not None:
        channel.is_archived = wanted.archived
    return {"channel": channel.id, "member": wanted.member, "archived": channel.is_archived}


def _add_user(simulator: Simulator, wanted: AddUser) -> Json:
    team = simulator.slack.team(wanted.team)
    user_id = wanted.id or slack_id(team.rng, "U")
    real_name = wanted.real_name or wanted.name
    team.users[user_id] = User(user_id, wanted.name, real_name, wanted.deleted, wanted.listed)
    return {"user": user_id}


def _set_token(simulator: Simulator, wanted: SetToken) -> Json:
    world = simulator.slack
    team = world.team(wanted.team)
    newest = world.token_of(team)
    token = wanted.token or newest
    if token not in world.grants:
        world.issue(token, Grant(team, world.grants[newest].scopes))
    grant = world.grants[token]
    if grant.team is not team:
        raise OrderError(f"that token is not one of workspace {team.id}")
    if wanted.revoked is not None:
        grant.revoked = wanted.revoked
    if wanted.scopes is not None:
        grant.allow(frozenset(wanted.scopes))
    return {"team": team.id, "revoked": grant.revoked, "scopes": sorted(grant.scopes)}


def _state(simulator: Simulator, wanted: OneTeam) -> Json:
    team = simulator.slack.team(wanted.team)
    return {
        "team": team.id,
        "users": [
            {"id": user.id, "name": user.name, "deleted": user.deleted, "listed": user.listed}
            for user in team.users.values()
        ],
        "channels": [_channel_state(team, channel) for channel in team.channels.values()],
    }


def _channel_state(team: Team, channel: Channel) -> Json:
    """Return a channel and everything readable in it, each message once, oldest first."""
    messages = []
    for key in sorted(channel.by_key):
        payload = channel.by_key[key].visible()
        shown = payload if isinstance(payload, dict) else {}
        fields = ("thread_ts", "text", "user", "subtype", "edited", "reply_count")
        messages.append({"ts": format_ts(key)} | {name: shown.get(name) for name in fields})
    return {
        "id": channel.id,
        "name": channel.name,
        "private": channel.is_private,
        "archived": channel.is_archived,
        "member": team.is_member(channel),
        "messages": messages,
    }
