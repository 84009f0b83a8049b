"""The scopes that a Slack app needs: what `connect` demands, what a login asks for and what a manifest names."""

from ingest_assets.sources.slack.connect import SlackSettings

PUBLIC = frozenset({"channels:read", "channels:history", "users:read"})
PRIVATE = frozenset({"groups:read", "groups:history"})
JOIN = frozenset({"channels:join"})
EMAILS = frozenset({"users:read.email"})
SEARCH = frozenset({"search:read"})
"""Of a user: Slack lets no bot search."""


def needed(settings: SlackSettings) -> frozenset[str]:
    """Return the scopes without which an account with these settings cannot be read."""
    chosen = (
        (True, PUBLIC),
        (not settings.public_only, PRIVATE),
        (settings.join, JOIN),
        (settings.emails, EMAILS),
    )
    return frozenset().union(*(scopes for wanted, scopes in chosen if wanted))


def needed_of_user(settings: SlackSettings) -> frozenset[str]:
    """Return the scopes that a user grants beside the bot's."""
    return SEARCH if settings.search else frozenset()
