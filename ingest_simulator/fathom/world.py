"""Fathom organisations: users with keys of their own, meetings that some of them see, limits a user."""

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any

from ingest_simulator.errors import OrderError
from ingest_simulator.rotation import Rotation
from ingest_simulator.wire import Json

NEVER = float("inf")
MINUTE = 60.0
NEWEST_FIRST, OLDEST_FIRST, SHUFFLED = "newest_first", "oldest_first", "shuffled"


def written(epoch: float) -> str:
    """Return a moment as Fathom writes it."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(slots=True, eq=False)
class Meeting:
    """A recorded meeting, and from when on its parts can be seen."""

    item: Json  # without transcript, summary, action items and CRM matches
    created: float
    transcript: list[Json]
    summary: Json | None
    action_items: list[Json]
    visible_to: set[str]
    transcript_at: float = 0.0
    summary_at: float = 0.0
    deleted: bool = False
    replacement: Any = None
    withheld: dict[str, int] = field(default_factory=dict)
    """Parts that nobody is shown, and the status that a request for them is answered with."""

    @property
    def id(self) -> int:
        recording_id: int = self.item["recording_id"]
        return recording_id


@dataclass(slots=True)
class Settings:
    """How Fathom treats the organisation."""

    enforce_limits: bool = False
    heavy_limit: int = 30
    global_limit: int = 60
    page_size: int = 10
    order: str = NEWEST_FIRST
    oauth_includes: str = "error"
    bad_key_status: int = 401
    reset_written: str = "seconds"
    """How RateLimit-Reset is written."""


@dataclass(slots=True, eq=False)
class User:
    """Somebody who records, and the limits that Fathom counts for them."""

    id: str
    email: str
    name: str
    role: str
    sees_all: bool
    recent: deque[float] = field(default_factory=deque)
    heavy: deque[float] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Grant:
    """What a key or an access token stands for."""

    org: "Org"
    user: User
    is_key: bool
    revoked: bool = False
    expires_at: float | None = None


@dataclass(slots=True, eq=False)
class Org:
    """A customer of Fathom's."""

    id: str
    name: str
    rng: random.Random
    settings: Settings
    users: list[User] = field(default_factory=list)
    meetings: dict[int, Meeting] = field(default_factory=dict)
    rotation: Rotation | None = None

    def meeting(self, recording: int) -> Meeting:
        try:
            return self.meetings[recording]
        except KeyError:
            raise OrderError(f"organisation {self.id} has no recording {recording}") from None

    def seen_by(self, user: User) -> list[Meeting]:
        return [m for m in self.meetings.values() if not m.deleted and user.email in m.visible_to]


@dataclass(slots=True)
class Allowance:
    """What the RateLimit headers say, and how long to wait, 0 if the request may pass."""

    limit: int
    remaining: int
    reset: int
    wait: int


def count_request(settings: Settings, user: User, now: float, *, heavy: bool) -> Allowance:
    """Count a request in its buckets; a refused one is not counted."""
    told = _bucket(user.recent, settings.global_limit, now)
    if heavy:
        told = min(told, _bucket(user.heavy, settings.heavy_limit, now), key=lambda one: one.remaining)
        told = told if told.wait else _bucket(user.heavy, settings.heavy_limit, now)
    if told.wait and settings.enforce_limits:
        return told
    user.recent.append(now)
    if heavy:
        user.heavy.append(now)
    if not settings.enforce_limits:
        return Allowance(told.limit, told.limit, 0, 0)
    return Allowance(told.limit, told.remaining - 1, told.reset, 0)


def _bucket(recent: deque[float], limit: int, now: float) -> Allowance:
    while recent and not recent[0] <= now < recent[0] + MINUTE:
        recent.popleft()
    reset = ceil(recent[0] + MINUTE - now) if recent else ceil(MINUTE)
    remaining = max(0, limit - len(recent))
    return Allowance(limit, remaining, reset, 0 if remaining else max(1, reset))


@dataclass(slots=True, eq=False)
class FathomWorld:
    """All organisations, keys and tokens."""

    orgs: dict[str, Org] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def org(self, org_id: str) -> Org:
        try:
            return self.orgs[org_id]
        except KeyError:
            raise OrderError(f"there is no Fathom organisation {org_id}") from None

    def issue(self, token: str, grant: Grant) -> None:
        if token in self.grants:
            raise OrderError("that key is in use already")
        self.grants[token] = grant

    def app(self, client_id: str) -> Org | None:
        for org in self.orgs.values():
            if org.rotation is not None and org.rotation.client_id == client_id:
                return org
        return None
