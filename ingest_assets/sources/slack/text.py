"""Slack's markup as text that a person reads: names instead of ids, links and entities decoded.

<@U123> <@U123|name>  <#C123> <#C123|name>  <!here> <!subteam^S1|@g> <!date^..|fallback>  <https://x|label>
&lt; &gt; &amp; are the only entities. (docs.slack.dev, formatting message text)
"""

import re
from collections.abc import Mapping
from typing import Any

NAMED = {
    "user": ("user_id", "<@{}>"),
    "channel": ("channel_id", "<#{}>"),
    "broadcast": ("range", "<!{}>"),
    "emoji": ("name", ":{}:"),
}
"""Elements of blocks that name something: where, and how a text would say it."""
TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


def readable(markup: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Decode a message's `text`; an id without a known name stays as it is."""
    if "<" in markup:

        def decoded(match: re.Match[str]) -> str:
            kind, target, label = match.groups()
            match kind:
                case "@":
                    return "@" + (users.get(target) or label or target)
                case "#":
                    return "#" + (label or channels.get(target) or target)
                case "!":
                    return label or "@" + target
            target = target.removeprefix("mailto:")
            return target if not label or label == target else f"{label} ({target})"

        markup = TOKEN.sub(decoded, markup)
    if "&" in markup:  # &amp; last, or "&amp;lt;" would lose a level
        markup = markup.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return markup


def markup_of(message: Mapping[str, Any]) -> str | None:
    """Give what a message says: its text, or where that is empty its blocks', else its attachments' and files'."""
    if said := message.get("text") or _said(message.get("blocks")):
        return str(said)
    parts = [
        part.get("fallback") or part.get("text") or part.get("title")
        for key in ("attachments", "files")
        if isinstance(listed := message.get(key), list)
        for part in listed
        if isinstance(part, dict)
    ]
    return "\n".join(str(part) for part in parts if part) or None


def _said(part: Any) -> str:
    """Give what a block, or an element in one, says. (docs.slack.dev, Block Kit)"""
    match part:
        case list():
            return "\n".join(filter(None, map(_said, part)))
        case {"type": "user" | "channel" | "broadcast" | "emoji" as kind}:
            field, form = NAMED[kind]
            return form.format(part.get(field, ""))
        case {"type": "link", "url": str(target)}:
            label = part.get("text")
            return f"<{target}|{_literal(str(label))}>" if label else f"<{target}>"
        case {"type": "mrkdwn", "text": str(markup)}:
            return markup
        case {"type": "text" | "plain_text", "text": str(text)}:
            return _literal(text)
        case {
            "type": "rich_text_section" | "rich_text_quote" | "rich_text_preformatted",
            "elements": list(inline),
        }:
            return "".join(map(_said, inline))
        case dict():
            inner = (part.get(key) for key in ("title", "text", "fields", "elements"))
            return _said([one for one in inner if isinstance(one, dict | list)])
    return ""


def _literal(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mentioned(markup: str) -> set[str]:
    """Name the users that a text mentions."""
    return {target for kind, target, _ in TOKEN.findall(markup) if kind == "@"} if "<@" in markup else set()
