"""What people and channels are called, and who is shown as the author of a message."""

from dataclasses import dataclass, field

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.people import ERASED_ID


@dataclass
class Names:
    """Names by id, for readable text."""

    users: dict[str, str] = field(default_factory=lambda: {"USLACKBOT": "Slackbot", ERASED_ID: "erased"})
    channels: dict[str, str] = field(default_factory=dict)


def author_name(message: JsonView, names: Names) -> str | None:
    """Return the name that people were shown; what the directory says of a person goes before what was sent."""
    user, given = message.get("user"), message.get("username")
    if given is None and isinstance(user, str) and (known := names.users.get(user, "")).strip():  # most
        return known
    profile, bot = message.get("user_profile"), message.get("bot_profile")
    found = [given] if message.get("bot_id") or message.get("subtype") == "bot_message" else []
    found.append(names.users.get(user) if isinstance(user, str) else None)
    found.append(name_in(profile))
    found.append(bot.get("name") if isinstance(bot, dict) else None)
    found.append(given)
    return next((name for name in found if isinstance(name, str) and name.strip()), None)


def name_in(profile: object) -> str | None:
    """Return the name that a profile shows: the chosen one, else the real one, else the handle."""
    if not isinstance(profile, dict):
        return None
    shown = (profile.get(key) for key in ("display_name", "real_name", "name"))
    return next((name for name in shown if isinstance(name, str) and name.strip()), None)
