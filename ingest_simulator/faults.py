"""Scripted failures: each fault waits for the requests it matches and spoils some of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

from ingest_simulator.wire import Json

FOREVER = -1  # the value of `times` that never runs out


class Kind(StrEnum):
    """What a fault does to the answer."""

    STATUS = "status"
    ERROR = "error"
    DROP = "drop"
    TRUNCATE = "truncate"
    HTML = "html"
    JSON = "json"
    RAW = "raw"
    GZIP = "gzip"
    COMPRESSED = "compressed"
    REDIRECT = "redirect"
    REPLAY = "replay"
    MISSING = "missing"
    SLOW = "slow"
    RATELIMIT = "ratelimit"
    INVALID_CURSOR = "invalid_cursor"
    REPEAT_CURSOR = "repeat_cursor"
    GARBAGE_PAGE = "garbage_page"


@dataclass(slots=True)
class Fault:
    """One scripted failure and how often it has struck."""

    kind: Kind
    vendor: str
    method: str = "*"
    team: str | None = None
    channels: frozenset[str] | None = None
    part: str | None = None
    """Only requests that name it among their arguments: a thread's ts, a user, one of many call ids."""
    status: int = 503
    error: str = "internal_error"
    body: Any = None
    retry_after: int = 1
    seconds: float = 1.0
    skip: int = 0
    times: int = 1
    every: int = 1
    only_with_cursor: bool = False
    id: int = 0
    seen: int = 0
    hits: int = 0

    def strikes(self, vendor: str, method: str, team: str | None, params: Mapping[str, str]) -> bool:
        """Count the request if it matches, and say whether this one is to be spoiled."""
        if not self._matches(vendor, method, team, params):
            return False
        self.seen += 1
        turn = self.seen - self.skip
        if turn <= 0 or turn % self.every:
            return False
        self.hits += 1
        return True

    def _matches(self, vendor: str, method: str, team: str | None, params: Mapping[str, str]) -> bool:
        return (
            self.vendor == vendor
            and self.method in ("*", method)
            and self.team in (None, team)
            and (self.channels is None or params.get("channel") in self.channels)
            and (self.part is None or any(self.part in value.split(",") for value in params.values()))
            and (not self.only_with_cursor or bool(params.get("cursor")))
        )

    def exhausted(self) -> bool:
        """Whether it has struck as often as it was told to."""
        return self.times != FOREVER and self.hits >= self.times

    def public(self) -> Json:
        """Return the fault as JSON."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "vendor": self.vendor,
            "method": self.method,
            "team": self.team,
            "channels": None if self.channels is None else sorted(self.channels),
            "seen": self.seen,
            "hits": self.hits,
            "remaining": FOREVER if self.times == FOREVER else self.times - self.hits,
        }


@dataclass(slots=True)
class Faults:
    """The faults in the order they were asked for; the first that strikes takes the request."""

    _active: list[Fault] = field(default_factory=list)
    _spent: list[Fault] = field(default_factory=list)
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def add(self, fault: Fault) -> int:
        """Script one more fault and return its id."""
        fault.id = next(self._ids)
        (self._spent if fault.exhausted() else self._active).append(fault)
        return fault.id

    def take(
        self,
        vendor: str,
        method: str,
        team: str | None,
        params: Mapping[str, str],
        *,
        kinds: Collection[Kind] = tuple(Kind),
    ) -> Fault | None:
        """Return the fault that spoils this request, if any, among those of some kinds."""
        for fault in self._active:
            if fault.kind in kinds and fault.strikes(vendor, method, team, params):
                if fault.exhausted():
                    self._active.remove(fault)
                    self._spent.append(fault)
                return fault
        return None

    def public(self) -> list[Json]:
        """Every fault since the last clearing, spent ones included, as JSON."""
        return [fault.public() for fault in sorted(self._active + self._spent, key=lambda fault: fault.id)]

    def clear(self) -> None:
        """Drop every fault."""
        self._active.clear()
        self._spent.clear()
