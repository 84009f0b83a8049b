"""A mailbox: threads, labels, a history with gaps, and a quota."""

import random
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest_assets.simulator.errors import OrderError
from ingest_assets.simulator.gmail.mail import Json, Mail

CATEGORIES = ("PERSONAL", "SOCIAL", "PROMOTIONS", "UPDATES", "FORUMS")
SYSTEM_LABELS = (
    *("INBOX", "SENT", "IMPORTANT", "UNREAD", "STARRED", "SPAM", "TRASH", "DRAFT", "CHAT"),
    *(f"CATEGORY_{name}" for name in CATEGORIES),
)
GAP = 40  # history ids rise by up to this
MINUTE = 60.0
COSTS = {
    "profile": 1,
    "labels.list": 1,
    "labels.get": 1,
    "history.list": 2,
    "threads.list": 10,
    "threads.get": 40,
    "messages.list": 5,
    "messages.get": 20,
    "attachments.get": 20,
}
"""Units of Gmail's quota, by the table of 2026-05-01."""

Place = tuple[float, str]
"""Where something stands in a listing."""


@dataclass(slots=True, frozen=True)
class Change:
    """An entry of the history."""

    id: int
    kind: str  # messagesAdded, messagesDeleted, labelsAdded, labelsRemoved
    message_id: str
    thread_id: str
    labels: tuple[str, ...]
    changed: tuple[str, ...]

    def shown(self) -> Json:
        message: Json = {"id": self.message_id, "threadId": self.thread_id}
        gone = self.kind == "messagesDeleted" or not self.labels
        detail: Json = {"message": message if gone else message | {"labelIds": self.labels}}
        if self.changed:
            detail["labelIds"] = self.changed
        return {"id": str(self.id), "messages": [message], self.kind: [detail]}


@dataclass(slots=True)
class Settings:
    """How Google treats the mailbox."""

    enforce_limits: bool = False
    units_per_minute: int = 6000
    quota_status: int = 403
    enabled: bool = True
    page_cap: int = 500
    expires_in: int = 3599
    real_token_time: bool = True
    """Access tokens expire by real time: Google does not see a test's clock."""


@dataclass(slots=True, eq=False)
class Mailbox:
    """One user's mail."""

    email: str
    rng: random.Random
    settings: Settings
    labels: dict[str, str] = field(default_factory=lambda: {name: name for name in SYSTEM_LABELS})
    """Names by id."""
    mail: dict[str, Mail] = field(default_factory=dict)
    threads: dict[str, list[Mail]] = field(default_factory=dict)
    """Every thread's messages, oldest first."""
    history: list[Change] = field(default_factory=list)
    history_id: int = 900_000
    oldest_history: int = 0
    replaced: dict[str, Any] = field(default_factory=dict)
    units: int = 0
    listings: dict[bytes, list[Place]] = field(default_factory=dict)
    """What was listed since the last change, by query."""
    _recent: deque[tuple[float, int]] = field(default_factory=deque)
    _thread_history: dict[str, int] = field(default_factory=dict)
    _reads: int = 0

    def label_id(self, wanted: str) -> str:
        """A label by its id or name; an unknown id is taken as it is, as Gmail shows some."""
        return next((key for key, name in self.labels.items() if wanted in (key, name)), wanted)

    def add_label(self, name: str) -> str:
        """Make a user's label."""
        if name in self.labels.values():
            raise OrderError(f"mailbox {self.email} has a label {name} already")
        label_id = f"Label_{len(self.labels) - len(SYSTEM_LABELS) + 1}"
        self.labels[label_id] = name
        return label_id

    def next_history(self) -> int:
        self.history_id += self.rng.randrange(1, GAP)
        return self.history_id

    def note(self, kind: str, mail: Mail, changed: list[str] | None = None) -> None:
        """Write a change of a message into the history."""
        mail.history_id = self._thread_history[mail.thread_id] = self.next_history()
        labels = tuple(sorted(mail.labels))
        change = Change(mail.history_id, kind, mail.id, mail.thread_id, labels, tuple(changed or ()))
        self.history.append(change)
        self.listings.clear()
        mail.changed()

    def add(self, mail: Mail) -> None:
        self.mail[mail.id] = mail
        insort(self.threads.setdefault(mail.thread_id, []), mail, key=lambda one: one.moment)
        self.note("messagesAdded", mail)

    def find(self, thread: str | None, message: str | None) -> list[Mail]:
        """A thread's messages, or one message."""
        found = list(self.threads.get(thread, ())) if thread else [self.mail[message]] if message in self.mail else []
        if not found:
            raise OrderError(f"mailbox {self.email} has no such thread or message")
        return found

    def relabel(self, mail: Mail, add: set[str], remove: set[str]) -> None:
        """Give and take labels; those that change nothing leave no trace."""
        if fresh := sorted(add - mail.labels):
            mail.labels |= set(fresh)
            self.note("labelsAdded", mail, fresh)
        if stale := sorted(remove & mail.labels):
            mail.labels -= set(stale)
            self.note("labelsRemoved", mail, stale)

    def delete(self, mail: Mail) -> None:
        """Delete for good."""
        self.note("messagesDeleted", mail)
        del self.mail[mail.id]
        self.threads[mail.thread_id].remove(mail)
        if not self.threads[mail.thread_id]:
            del self.threads[mail.thread_id]

    def nonce(self) -> int:
        """What tells one read's attachment ids from another's."""
        self._reads += 1
        return self._reads

    def thread_history(self, thread_id: str) -> str:
        return str(self._thread_history[thread_id])

    def thread(self, thread_id: str, form: str) -> bytes:
        """The answer of threads.get."""
        if thread_id in self.replaced:
            return orjson.dumps(self.replaced[thread_id])
        nonce = self.nonce()
        messages = b",".join(mail.packed(form, nonce) for mail in self.threads[thread_id])
        head = f'{{"id":"{thread_id}","historyId":"{self.thread_history(thread_id)}","messages":['
        return head.encode() + messages + b"]}"

    def spend(self, method: str, now: float) -> float | None:
        """Count the units of a call, or tell when there will be enough again."""
        cost = COSTS[method]
        if self.settings.enforce_limits:
            while self._recent and not self._recent[0][0] <= now < self._recent[0][0] + MINUTE:
                self._recent.popleft()
            if sum(units for _, units in self._recent) + cost > self.settings.units_per_minute:
                return (self._recent[0][0] if self._recent else now) + MINUTE
            self._recent.append((now, cost))
        self.units += cost
        return None
