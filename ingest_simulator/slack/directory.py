"""Who and what is in a workspace: users and channels, listed, looked up and joined.

conversations.list   every public channel, and the private ones the bot is in
users.conversations  only channels the user is in, without `is_member` and `num_members`
users.list           deactivated people and USLACKBOT included; without a limit everyone at once
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import orjson

from ingest_simulator.slack.call import Call, Cursor, SlackError, ok
from ingest_simulator.slack.channel import Channel
from ingest_simulator.wire import Json

DEFAULT_LIMIT = 100
MAX_USERS_AT_ONCE = 2000  # beyond this a users.list without limit is refused
SCOPES = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "mpim": "mpim:read",
    "im": "im:read",
}
Entry = TypeVar("Entry")


def channel_payload(call: Call, channel: Channel) -> Json:
    """Return what every method shows of a channel."""
    empty = {"value": "", "creator": "", "last_set": 0}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "created": channel.created,
        "creator": channel.creator,
        "is_archived": channel.is_archived,
        "is_general": channel.is_general,
        "unlinked": 0,
        "name_normalized": channel.name,
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "pending_shared": [],
        "is_pending_ext_shared": False,
        "context_team_id": call.team.id,
        "topic": empty,
        "purpose": empty,
        "previous_names": [],
    }


def conversations_list(call: Call) -> bytes:
    """conversations.list."""
    kinds = _kinds(call)
    me = call.team.bot.id

    def shown(channel: Channel) -> bytes:
        extra = {"is_member": me in channel.members, "num_members": len(channel.members)}
        return orjson.dumps(channel_payload(call, channel) | extra)

    visible = [c for c in _of_kinds(call, kinds) if not c.is_private or me in c.members]
    return _listed(call, "channels", "team", visible, shown, call.limit(DEFAULT_LIMIT))


def users_conversations(call: Call) -> bytes:
    """users.conversations."""
    kinds = _kinds(call)
    me = call.team.bot.id
    whose = call.params.get("user") or me
    theirs = [c for c in _of_kinds(call, kinds) if whose in c.members]
    visible = [c for c in theirs if not c.is_private or me in c.members]
    return _listed(
        call,
        "channels",
        "team",
        visible,
        lambda channel: orjson.dumps(channel_payload(call, channel)),
        call.limit(DEFAULT_LIMIT),
    )


def conversations_info(call: Call) -> bytes:
    """conversations.info."""
    channel = call.seen_channel("read")
    shown = channel_payload(call, channel) | {"is_member": call.team.is_member(channel)}
    if call.flag("include_num_members"):
        shown["num_members"] = len(channel.members)
    if call.flag("include_locale"):
        shown["locale"] = "en-US"
    return ok(channel=shown)


def conversations_members(call: Call) -> bytes:
    """conversations.members."""
    channel = call.seen_channel("read")
    limit = call.limit(DEFAULT_LIMIT)
    members = [_Identified(member) for member in channel.members]
    return _listed(call, "members", "user", members, lambda member: b'"%s"' % member.id.encode(), limit)


def conversations_join(call: Call) -> bytes:
    """conversations.join."""
    call.require("channels:join")
    channel = call.team.channels.get(call.text("channel"))
    if channel is None or (channel.is_private and not call.team.is_member(channel)):
        raise SlackError("channel_not_found")
    if channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackError("is_archived")
    shown = channel_payload(call, channel) | {"is_member": True}
    if call.team.is_member(channel):
        warning = "already_in_channel"
        return ok(channel=shown, warning=warning, response_metadata={"warnings": [warning]})
    call.team.join(channel, call.now)
    return ok(channel=shown)


def users_list(call: Call) -> bytes:
    """users.list."""
    email = "users:read.email" in call.grant.scopes
    users = [user for user in call.team.users.values() if user.listed]
    if call.params.get("limit", "0") == "0" and len(users) > MAX_USERS_AT_ONCE:
        raise SlackError("limit_required")
    limit = call.limit(MAX_USERS_AT_ONCE, most=1000, zero=True)
    tail = b'"cache_ts":%d,' % int(call.now)
    team = call.team.id
    return _listed(
        call,
        "members",
        "user",
        users,
        lambda user: orjson.dumps(user.payload(team, email=email)),
        limit,
        tail,
    )


def users_info(call: Call) -> bytes:
    """users.info."""
    user = call.team.users.get(call.text("user"))
    if user is None:
        raise SlackError("user_not_found")
    shown = user.payload(call.team.id, email="users:read.email" in call.grant.scopes)
    return ok(user=shown | ({"locale": "en-GB"} if call.flag("include_locale") else {}))


class _Identified:
    """A bare id among things that are sorted by theirs."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id


def _kinds(call: Call) -> set[str]:
    given = call.params.get("types") or "public_channel"
    kinds = {kind.strip() for kind in given.split(",") if kind.strip()}
    if not kinds or not kinds <= SCOPES.keys():
        raise SlackError("invalid_types")
    for kind in sorted(kinds):
        call.require(SCOPES[kind])
    return kinds


def _of_kinds(call: Call, kinds: set[str]) -> Iterable[Channel]:
    live_only = call.flag("exclude_archived")
    for channel in call.team.channels.values():
        kind = "private_channel" if channel.is_private else "public_channel"
        if kind in kinds and not (live_only and channel.is_archived):
            yield channel


def _listed(
    call: Call,
    name: str,
    kind: str,
    entries: Iterable[Any],
    shown: Callable[[Any], bytes],
    limit: int,
    tail: bytes = b"",
) -> bytes:
    """Return a page of things sorted by id; the cursor names the first id of the next page."""
    cursor = call.cursor(kind)
    ordered = sorted(
        (entry for entry in entries if cursor is None or entry.id >= cursor.position),
        key=lambda entry: str(entry.id),
    )
    if ordered and call.team.settings.empty_pages and (cursor is None or cursor.empty):
        return call.page(name, [], Cursor(ordered[0].id).encoded(kind), tail)
    following = ordered[limit].id if len(ordered) > limit else None
    return call.page(name, [shown(e) for e in ordered[:limit]], call.next_cursor(kind, following), tail)
