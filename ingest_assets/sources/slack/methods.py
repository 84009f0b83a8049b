"""The methods that we call, and how often Slack takes them."""

from datetime import timedelta

from ingest_assets.sources.client.method import Level, Method

TIER_2, TIER_3, TIER_4 = 20, 50, 100  # requests a minute, a method, a workspace, an app (docs: rate limits)
METHODS = {
    "auth.test": Method(level=Level.ACCOUNT, per_minute=TIER_4),
    "oauth.v2.access": Method(level=Level.ACCOUNT, per_minute=TIER_4),
    "users.conversations": Method(level=Level.ACCOUNT, per_minute=TIER_3),
    "conversations.list": Method(level=Level.ACCOUNT, per_minute=TIER_2),
    "users.list": Method(level=Level.PART, per_minute=TIER_2),  # of names; messages carry some, too
    "users.info": Method(level=Level.PART, per_minute=TIER_4),
    "conversations.join": Method(level=Level.PART, per_minute=TIER_3),
    "conversations.history": Method(level=Level.PART, per_minute=TIER_3),
    "conversations.replies": Method(level=Level.PART, per_minute=TIER_3),
    "search.messages": Method(level=Level.HINT, per_minute=TIER_2),
}
SEARCH = "search"
"""The part that search.messages is."""
LIMITED = {"conversations.history": 1, "conversations.replies": 1}
"""Commercial apps outside the Marketplace, since 2025-05-29: one request a minute, 15 objects."""
LIMITED_OBJECTS = 15
LIMITED_PAUSE, FEW = timedelta(seconds=30), TIER_3 // 2  # what gives such an app away, see `_gives_itself_away`

PAGE = 999  # the most that conversations.* accept
SEARCH_PAGE = 100  # the most that search.messages accepts
USERS_PAGE = 500  # users.list answers limit_required or 500 to what it finds too much
