"""Slack's markup as text that a person reads: names instead of ids, links and entities decoded.

<@U123> <@U123|name>  <#C123> <#C123|name>  <!here> <!subteam^S1|@g> <!date^..|fallback>  <https://x|label>
&lt; &gt; &amp; are the only entities. (docs.slack.dev, formatting message text)
An app may leave out the entities: `5 < 6 and 7 > 3` holds no markup, and stays as it is.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
ID = re.compile(r"[A-Z][A-Z0-9]+")
USER = re.compile(r"[UW][A-Z0-9]+")
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|mailto:|tel:|sms:)\S+", re.IGNORECASE)
COMMAND = re.compile(r"[\w-]+")  # <!here>, <!channel>, <!everyone>


def literal(text: str) -> str:
    """Escape a text that holds no markup, as Slack does."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text or ">" in text:
        text = text.replace("<", "&lt;").replace(">", "&gt;")
    return text


def readable(markup: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Decode markup; an id without a known name stays as it is."""
    if "<" in markup:

        def decoded(match: re.Match[str]) -> str:
            kind, target, label = match.groups()
            match kind:
                case "@" if ID.fullmatch(target):
                    return "@" + (users.get(target) or label or target)
                case "#" if ID.fullmatch(target):
                    return "#" + (label or channels.get(target) or target)
                case "!" if (said := _special(target, label)) is not None:
                    return said
                case "" if ADDRESS.fullmatch(target):
                    target = target.removeprefix("mailto:").removeprefix("tel:")
                    return target if not label or label == target else f"{label} ({target})"
            return match.group()

        markup = TOKEN.sub(decoded, markup)
    if "&" in markup:  # &amp; last, or "&amp;lt;" would lose a level
        markup = markup.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return markup


def _special(target: str, label: str | None) -> str | None:
    """Decode `<!...>`; None for what is no markup, a comment of HTML for one."""
    command, _, rest = target.partition("^")
    match command:
        case "date":
            return label or moment(rest.partition("^")[0])
        case "subteam":
            return label or "@" + rest
    return label or ("@" + target if COMMAND.fullmatch(target) else None)


def moment(seconds: object) -> str | None:
    """Write a timestamp of Slack's for people; None for one that is no time."""
    try:
        return f"{datetime.fromtimestamp(int(str(seconds)), UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return None


def mentioned(markup: str) -> set[str]:
    """Return the ids of the users that a text mentions."""
    if "<@" not in markup:
        return set()
    return {target for kind, target, _ in TOKEN.findall(markup) if kind == "@" and USER.fullmatch(target)}
