"""Gong companies: calls that appear bit by bit, users, workspaces, keys."""

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zlib import crc32

import orjson

from ingest_simulator.errors import OrderError
from ingest_simulator.rotation import Rotation
from ingest_simulator.wire import Json

SCOPES = (
    "api:calls:read:basic",
    "api:calls:read:extensive",
    "api:calls:read:transcript",
    "api:calls:read:media-url",
    "api:users:read",
    "api:workspaces:read",
)
PACIFIC = timezone(timedelta(hours=-7))  # answers carry numeric offsets
NEVER = float("inf")
NEWEST_FIRST, OLDEST_FIRST, SHUFFLED = "newest_first", "oldest_first", "shuffled"


def written(epoch: float) -> str:
    """Return a moment as Gong writes it."""
    return datetime.fromtimestamp(epoch, UTC).astimezone(PACIFIC).isoformat(timespec="seconds")


@dataclass(slots=True, eq=False)
class Call:
    """A call: what it is, and from when on each part of it can be seen."""

    facts: Json  # metaData
    moment: float
    parts: Json  # parties, content, interaction, ...
    transcript: list[Json]
    appears_at: float = 0.0
    details_at: float = 0.0
    transcript_at: float = 0.0
    deleted: bool = False
    replacement: Any = None
    """What /v2/calls/extensive shows instead of the whole item."""
    _packed: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    _packed_transcript: bytes | None = None

    @property
    def id(self) -> str:
        call_id: str = self.facts["id"]
        return call_id

    def visible(self, now: float) -> bool:
        return not self.deleted and self.appears_at <= now

    def changed(self) -> None:
        """Forget how it was written."""
        self._packed.clear()
        self._packed_transcript = None

    def extensive(self, selected: tuple[str, ...], now: float) -> bytes:
        """Return the item of /v2/calls/extensive with the selected parts, as far as they are there yet."""
        if self.replacement is not None:
            return orjson.dumps(self.replacement)
        if self.details_at > now:
            selected = ()
        if selected not in self._packed:
            shown = {"metaData": self.facts} | {name: self.parts[name] for name in selected if name in self.parts}
            self._packed[selected] = orjson.dumps(shown)
        return self._packed[selected]

    def spoken(self) -> bytes:
        """Return the item of /v2/calls/transcript."""
        if self._packed_transcript is None:
            self._packed_transcript = orjson.dumps({"callId": self.id, "transcript": self.transcript})
        return self._packed_transcript

    def sort_key(self, order: str) -> tuple[float, str]:
        if order == SHUFFLED:
            return crc32(self.id.encode()), self.id
        return (self.moment if order == OLDEST_FIRST else -self.moment), self.id


@dataclass(slots=True)
class Settings:
    """How Gong treats the company."""

    enforce_limits: bool = False
    per_second: int = 3
    per_day: int = 10_000
    page_size: int = 100
    order: str = SHUFFLED


@dataclass(slots=True, eq=False)
class Grant:
    """What a key or an access token stands for."""

    company: "Company"
    secret: str | None
    scopes: frozenset[str]
    revoked: bool = False
    expires_at: float | None = None


@dataclass(slots=True, eq=False)
class Company:
    """A customer of Gong's, at one host."""

    id: str
    name: str
    region: str
    rng: random.Random
    settings: Settings
    calls: dict[str, Call] = field(default_factory=dict)
    users: list[Json] = field(default_factory=list)
    workspaces: list[Json] = field(default_factory=list)
    rotation: Rotation | None = None
    recent: deque[float] = field(default_factory=deque)

    def call(self, call_id: str) -> Call:
        try:
            return self.calls[call_id]
        except KeyError:
            raise OrderError(f"company {self.id} has no call {call_id}") from None

    def wait_needed(self, now: float) -> int:
        """Count a request and answer 0, or answer the seconds to wait; a refused request is not counted."""
        if not self.settings.enforce_limits:
            return 0
        while self.recent and not self.recent[0] <= now < self.recent[0] + 86_400:
            self.recent.popleft()
        if len(self.recent) >= self.settings.per_day:
            return int(self.recent[0] + 86_400 - now) + 1
        if sum(moment > now - 1 for moment in list(self.recent)[-self.settings.per_second :]) >= (
            self.settings.per_second
        ):
            return 1
        self.recent.append(now)
        return 0


@dataclass(slots=True, eq=False)
class GongWorld:
    """All companies, keys and tokens."""

    companies: dict[str, Company] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def company(self, company_id: str) -> Company:
        try:
            return self.companies[company_id]
        except KeyError:
            raise OrderError(f"there is no Gong company {company_id}") from None

    def grants_of(self, company: Company) -> list[Grant]:
        return [grant for grant in self.grants.values() if grant.company is company]

    def issue(self, token: str, grant: Grant) -> None:
        if token in self.grants:
            raise OrderError("that key is in use already")
        self.grants[token] = grant

    def app(self, client_id: str) -> Company | None:
        for company in self.companies.values():
            if company.rotation is not None and company.rotation.client_id == client_id:
                return company
        return None
