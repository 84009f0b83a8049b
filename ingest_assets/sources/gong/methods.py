"""Gong's methods: whom a failure of each concerns, and the scope that each needs."""

from collections.abc import Mapping

from ingest_assets.sources.client.method import Level, Method

SCOPES = {
    "calls.extensive": "api:calls:read:extensive",
    "calls.by_id": "api:calls:read:extensive",
    "calls.transcript": "api:calls:read:transcript",
    "calls.list": "api:calls:read:basic",
    "calls.get": "api:calls:read:basic",
    "users.list": "api:users:read",
    "workspaces.list": "api:workspaces:read",
}
METHODS: Mapping[str, Method] = {
    "calls.extensive": Method(level=Level.ACCOUNT),  # of a range: the account's listing
    "calls.by_id": Method(level=Level.PART),  # the same request for calls that are named
    "calls.transcript": Method(level=Level.PART),
    "calls.get": Method(level=Level.PART),
    "users.list": Method(level=Level.PART),
    "workspaces.list": Method(level=Level.PART),
    "calls.list": Method(level=Level.ACCOUNT),  # when connecting, only
    "oauth.token": Method(level=Level.ACCOUNT),
}
"""All together 3 requests a second and 10,000 a day."""
ONLY_NAMES = frozenset({"users.list", "workspaces.list"})
"""What brings names, without which calls can be read all the same."""
