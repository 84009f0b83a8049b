"""Slack's rate limits, per method and workspace, over a sliding minute of simulated time.

tier 2, 3, 4   20, 50, 100 requests a minute
limited apps   one request a minute to conversations.history and to conversations.replies
over           HTTP 429, Retry-After in whole seconds, {"ok":false,"error":"ratelimited"}
"""

from collections import deque
from math import ceil

from ingest_simulator.slack.world import Team

WINDOW = 60.0  # seconds
ALLOWED = {2: 20, 3: 50, 4: 100}  # requests a minute, by tier
LIMITED_ALLOWED = 1
LIMITED_METHODS = frozenset({"conversations.history", "conversations.replies"})
LIMITED_OBJECTS = 15


def allowance(team: Team, method: str, tier: int | None) -> int | None:
    """How many requests a minute the workspace may make, None for as many as it likes."""
    if team.settings.limited and method in LIMITED_METHODS:
        return LIMITED_ALLOWED
    if team.settings.enforce_limits and tier is not None:
        return ALLOWED[tier]
    return None


def wait_needed(team: Team, method: str, tier: int | None, now: float) -> int:
    """Count a request and answer 0, or answer the seconds to wait; a refused request is not counted."""
    allowed = allowance(team, method, tier)
    if allowed is None:
        return 0
    recent = team.recent.setdefault(method, deque())
    # a test may move the clock back, which leaves requests in the future
    while recent and not recent[0] <= now < recent[0] + WINDOW:
        recent.popleft()
    if len(recent) < allowed:
        recent.append(now)
        return 0
    return max(1, ceil(recent[0] + WINDOW - now))
