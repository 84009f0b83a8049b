"""Every request the simulated vendors received, in order of arrival."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ingest_simulator.wire import Json

SECRET_PARAMS = frozenset({"token", "client_secret", "refresh_token", "code", "code_verifier"})
NO_ANSWER = 0  # the status of a request whose connection was cut before any answer
TOO_MANY_REQUESTS = 429


@dataclass(slots=True)
class Entry:
    """One request; `status` stays None until it is answered."""

    number: int
    at: float
    vendor: str
    method: str
    team: str | None
    params: dict[str, str]
    in_flight: int
    team_in_flight: int
    status: int | None = None
    error: str | None = None

    def public(self) -> Json:
        """Return the entry as JSON, without any credential."""
        return {
            "number": self.number,
            "at": self.at,
            "vendor": self.vendor,
            "method": self.method,
            "team": self.team,
            "params": {name: value for name, value in self.params.items() if name not in SECRET_PARAMS},
            "status": self.status,
            "error": self.error,
            "in_flight": self.in_flight,
        }


class Ledger:
    """Appends in constant time; counting happens only when someone asks."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._in_flight = 0
        self._team_in_flight: defaultdict[str | None, int] = defaultdict(int)
        self._first = 0

    def __len__(self) -> int:
        return self._first + len(self._entries)

    def opened(self, at: float, vendor: str, method: str, team: str | None, params: dict[str, str]) -> Entry:
        """Note that a request arrived."""
        self._in_flight += 1
        self._team_in_flight[team] += 1
        busy = self._team_in_flight[team]
        entry = Entry(len(self), at, vendor, method, team, params, self._in_flight, busy)
        self._entries.append(entry)
        return entry

    def closed(self, entry: Entry, status: int, error: str | None) -> None:
        """Note how a request was answered."""
        self._in_flight -= 1
        self._team_in_flight[entry.team] -= 1
        entry.status = status
        entry.error = error

    def since(self, number: int = 0, *, team: str | None = None) -> Iterator[Entry]:
        """Return the entries from a number on, of one team if given."""
        for entry in self._entries[max(0, number - self._first) :]:
            if team is None or entry.team == team:
                yield entry

    def counts(self, number: int = 0, *, team: str | None = None) -> Json:
        """How many requests, by method and by status; in-flight is per team if a team is given."""
        methods: Counter[str] = Counter()
        statuses: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        total = peak = 0
        for entry in self.since(number, team=team):
            total += 1
            methods[entry.method] += 1
            statuses[_status_name(entry.status)] += 1
            if entry.error is not None:
                errors[entry.error] += 1
            peak = max(peak, entry.in_flight if team is None else entry.team_in_flight)
        return {
            "total": total,
            "by_method": dict(methods),
            "by_status": dict(statuses),
            "by_error": dict(errors),
            "throttled": statuses[str(TOO_MANY_REQUESTS)],
            "max_in_flight": peak,
        }

    def clear(self) -> None:
        """Forget the entries; the numbering goes on, so an old `since` stays valid."""
        self._first += len(self._entries)
        self._entries = []

    def reset(self) -> None:
        """Forget the entries and number from zero again."""
        self._entries = []
        self._first = 0


def _status_name(status: int | None) -> str:
    if status is None:
        return "pending"
    return "dropped" if status == NO_ANSWER else str(status)
