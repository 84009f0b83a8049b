"""The JSON shapes of Slack's messages, users and channels."""

import re
from uuid import UUID

from ingest_simulator.slack.timestamps import format_ts
from ingest_simulator.wire import Json

Payload = Json
SLACKBOT = "USLACKBOT"

_MARKUP = re.compile(r"<([^<>\s][^<>]*)>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def unescaped(text: str) -> str:
    """Text as blocks hold it: without the three entities that `text` needs."""
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def _element(markup: str) -> Payload:
    target, _, label = markup.partition("|")
    if target.startswith("@"):
        return {"type": "user", "user_id": target[1:]}
    if target.startswith("#"):
        return {"type": "channel", "channel_id": target[1:]}
    if target.startswith("!subteam^"):
        return {"type": "usergroup", "usergroup_id": target.removeprefix("!subteam^")}
    if target.startswith("!"):
        return {"type": "broadcast", "range": target[1:]}
    return {"type": "link", "url": target} | ({"text": label} if label else {})


def rich_text(text: str, block_id: str) -> list[Payload]:
    """Return the `blocks` a Slack client composes for a text."""
    elements: list[Payload] = []
    for place, part in enumerate(_MARKUP.split(text) if "<" in text else [text]):
        if place % 2:
            elements.append(_element(part))
        elif part:
            elements.append({"type": "text", "text": unescaped(part) if "&" in part else part})
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": block_id, "elements": [section]}]


def plain(team: str, user: str, text: str, key: int, *, nonce: int) -> Payload:
    """Return a message someone typed."""
    return {
        "type": "message",
        "user": user,
        "text": text,
        "ts": format_ts(key),
        "client_msg_id": str(UUID(int=nonce, version=4)),
        "team": team,
        "blocks": rich_text(text, f"{nonce & 0xFFFFF:05x}"),
    }


def in_thread(payload: Payload, parent_key: int, parent_author: str, *, broadcast: bool) -> Payload:
    """Return the same message as a reply."""
    extra: Payload = {"thread_ts": format_ts(parent_key), "parent_user_id": parent_author}
    if broadcast:
        extra["subtype"] = "thread_broadcast"
    return payload | extra


def edited(payload: Payload, text: str, user: str, key: int) -> Payload:
    """Return the message after an edit: same `ts`, new text, and who changed it when."""
    change: Payload = {"text": text, "edited": {"user": user, "ts": format_ts(key)}}
    if "blocks" in payload:
        change["blocks"] = rich_text(text, f"{key & 0xFFFFF:05x}")
    return payload | change


def reacted(payload: Payload, name: str, user: str) -> Payload:
    """Return the message after one more person reacted."""
    reactions = {reaction["name"]: list(reaction["users"]) for reaction in payload.get("reactions", [])}
    users = reactions.setdefault(name, [])
    if user not in users:
        users.append(user)
    shown = [{"name": name, "users": users, "count": len(users)} for name, users in reactions.items()]
    return payload | {"reactions": shown}


def tombstone(key: int) -> Payload:
    """Return what a deleted parent leaves while it still has replies."""
    return {
        "type": "message",
        "subtype": "tombstone",
        "text": "This message was deleted.",
        "user": SLACKBOT,
        "hidden": True,
        "ts": format_ts(key),
        "parent_user_id": SLACKBOT,
    }


def bot_message(bot: str, name: str, text: str, key: int) -> Payload:
    """Return a message of an incoming webhook: no `user`."""
    return {
        "type": "message",
        "subtype": "bot_message",
        "text": text,
        "ts": format_ts(key),
        "username": name,
        "bot_id": bot,
    }


def app_message(team: str, user: str, bot: str, text: str, key: int) -> Payload:
    """Return a message of a modern app: no subtype, a `user`, and a bot profile beside it."""
    app = f"A{bot[1:]}"
    profile = {"id": bot, "name": "deploys", "app_id": app, "team_id": team, "icons": {}, "deleted": False}
    return {
        "type": "message",
        "user": user,
        "text": text,
        "ts": format_ts(key),
        "team": team,
        "bot_id": bot,
        "app_id": app,
        "bot_profile": profile,
        "blocks": rich_text(text, f"{key & 0xFFFFF:05x}"),
    }


def me_message(user: str, text: str, key: int) -> Payload:
    """Return what `/me` posts."""
    return {"type": "message", "subtype": "me_message", "user": user, "text": text, "ts": format_ts(key)}


def channel_join(user: str, key: int) -> Payload:
    """Return the notice that someone joined."""
    return {
        "type": "message",
        "subtype": "channel_join",
        "user": user,
        "text": f"<@{user}> has joined the channel",
        "ts": format_ts(key),
    }


def with_file(payload: Payload, file_id: str, *, domain: str) -> Payload:
    """Return the message with a shared file."""
    created = int(payload["ts"].partition(".")[0])
    url = f"https://files.slack.com/files-pri/{payload['team']}-{file_id}/feedback.csv"
    file = {
        "id": file_id,
        "created": created,
        "timestamp": created,
        "name": "feedback.csv",
        "title": "feedback.csv",
        "mimetype": "text/csv",
        "filetype": "csv",
        "pretty_type": "CSV",
        "user": payload["user"],
        "size": 4096,
        "mode": "hosted",
        "is_external": False,
        "is_public": True,
        "url_private": url,
        "url_private_download": url,
        "permalink": f"https://{domain}.slack.com/files/{payload['user']}/{file_id}/feedback.csv",
    }
    return payload | {"files": [file], "upload": True, "display_as_bot": False}
