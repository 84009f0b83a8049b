"""Gmail mailboxes: threads, labels, a history with gaps, tokens, quota."""

import json
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest_simulator.errors import OrderError
from ingest_simulator.wire import Json

READONLY = "https://www.googleapis.com/auth/gmail.readonly"
SYSTEM_LABELS = ("INBOX", "SENT", "IMPORTANT", "UNREAD", "STARRED", "SPAM", "TRASH", "DRAFT", "CHAT")
HIDDEN = frozenset({"SPAM", "TRASH"})
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


@dataclass(slots=True, eq=False)
class Mail:
    """A message."""

    id: str
    thread_id: str
    moment: float
    labels: set[str]
    payload: Json
    snippet: str
    size: int
    history_id: int
    raw: Json = field(default_factory=dict)
    attachments: dict[str, str] = field(default_factory=dict)
    """Base64url contents by partId."""

    def shown(self, form: str, nonce: str) -> Json:
        base: Json = {
            "id": self.id,
            "threadId": self.thread_id,
            "labelIds": sorted(self.labels),
            "snippet": self.snippet,
            "historyId": str(self.history_id),
            "internalDate": str(int(self.moment * 1000)),
            "sizeEstimate": self.size,
        }
        if not base["labelIds"]:
            del base["labelIds"]
        if form == "full":
            base["payload"] = (
                _with_attachment_ids(self.payload, self.id, nonce) if self.attachments else self.payload
            )
        elif form == "metadata":
            base["payload"] = {"headers": self.payload.get("headers", [])}
        return base | self.raw


def _with_attachment_ids(part: Json, message_id: str, nonce: str) -> Json:
    """Fill in the ids, which differ from read to read."""
    copied = dict(part)
    body = part.get("body", {})
    if "attachmentId" in body:
        copied["body"] = body | {"attachmentId": f"ANG{nonce}.{part['partId']}"}
    if "parts" in part:
        copied["parts"] = [_with_attachment_ids(inner, message_id, nonce) for inner in part["parts"]]
    return copied


@dataclass(slots=True)
class Change:
    """An entry of the history."""

    id: int
    kind: str  # messagesAdded, messagesDeleted, labelsAdded, labelsRemoved
    message_id: str
    thread_id: str
    labels: list[str]
    changed: list[str] = field(default_factory=list)
    raw: Any = None
    """What is shown instead."""

    def shown(self) -> Any:
        if self.raw is not None:
            return self.raw
        message: Json = {"id": self.message_id, "threadId": self.thread_id}
        detail: Json = {"message": message | {"labelIds": self.labels}}
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
    listed_to: int | None = None
    """The last history id whose change is listed, while the mailbox itself is further; None for all."""


@dataclass(slots=True, eq=False)
class Mailbox:
    """One user's mail."""

    email: str
    rng: random.Random
    settings: Settings
    labels: dict[str, str] = field(default_factory=dict)  # name by id
    labels_made: int = 0
    mail: dict[str, Mail] = field(default_factory=dict)
    deleted: list[Mail] = field(default_factory=list)
    threads: dict[str, list[str]] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    history_id: int = 0
    oldest_history: int = 0
    replaced: Json = field(default_factory=dict)
    """By thread: what threads.get answers instead."""
    relisted: Json = field(default_factory=dict)
    """By thread: what threads.list shows instead."""
    touched: dict[str, int] = field(default_factory=dict)
    """The newest history id of each thread, deletions included."""
    units: int = 0
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    nonce: int = 0
    _packed: dict[str, bytes] = field(default_factory=dict)

    def label_id(self, wanted: str) -> str:
        """Return a label by its id or name; an unknown id is taken as it is, as Gmail shows some."""
        for label_id, name in self.labels.items():
            if wanted in (label_id, name):
                return label_id
        return wanted

    def add_label(self, name: str) -> str:
        self.labels_made += 1  # an id is never given again
        label_id = f"Label_{self.labels_made}"
        self.labels[label_id] = name
        return label_id

    def next_history(self) -> int:
        self.history_id += self.rng.randrange(1, 40)  # ids rise with gaps
        return self.history_id

    def note(self, kind: str, mail: Mail, changed: list[str] | None = None) -> None:
        mail.history_id = self.touched[mail.thread_id] = self.next_history()
        self.history.append(
            Change(mail.history_id, kind, mail.id, mail.thread_id, sorted(mail.labels), changed or [])
        )
        self._packed.pop(mail.thread_id, None)

    def note_raw(self, entry: object) -> None:
        self.history.append(Change(self.next_history(), "messagesAdded", "", "", [], raw=entry))

    def add(self, mail: Mail) -> None:
        self.mail[mail.id] = mail
        self.threads.setdefault(mail.thread_id, []).append(mail.id)
        self.note("messagesAdded", mail)

    def unlisted(self) -> set[str]:
        """Return the messages that no listing shows yet."""
        last = self.settings.listed_to
        if last is None:
            return set()
        return {one.message_id for one in self.history if one.id > last and one.kind == "messagesAdded"}

    def messages_of(self, thread_id: str) -> list[Mail]:
        return [self.mail[one] for one in self.threads.get(thread_id, ())]

    def find(self, thread: str | None, message: str | None) -> list[Mail]:
        found = self.messages_of(thread) if thread else [self.mail[message]] if message in self.mail else []
        if not found:
            raise OrderError(f"mailbox {self.email} has no such thread or message")
        return found

    def delete(self, mail: Mail) -> None:
        self.note("messagesDeleted", mail)
        self.deleted.append(self.mail.pop(mail.id))
        self.threads[mail.thread_id].remove(mail.id)
        if not self.threads[mail.thread_id]:
            del self.threads[mail.thread_id]

    def thread(self, thread_id: str, form: str) -> bytes:
        """Return the answer of threads.get."""
        if thread_id in self.replaced:
            return _packed(self.replaced[thread_id])
        messages = self.messages_of(thread_id)
        volatile = form != "full" or any(mail.attachments for mail in messages)
        if not volatile and thread_id in self._packed:
            return self._packed[thread_id]
        self.nonce += 1
        shown = [mail.shown(form, str(self.nonce)) for mail in messages]
        newest = str(self.touched[thread_id])
        packed = _packed({"id": thread_id, "historyId": newest, "messages": shown})
        if not volatile:
            self._packed[thread_id] = packed
        return packed

    def quota_exceeded(self, method: str, now: float) -> bool:
        """Count the units of a call, or tell that there are none left."""
        cost = COSTS[method]
        while self.recent and not self.recent[0][0] <= now < self.recent[0][0] + MINUTE:
            self.recent.popleft()
        if self.settings.enforce_limits:
            if sum(units for _, units in self.recent) + cost > self.settings.units_per_minute:
                return True
            self.recent.append((now, cost))
        self.units += cost
        return False


@dataclass(slots=True, eq=False)
class Login:
    """A user's refresh token."""

    email: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    revoked: bool = False
    tells_expiry: bool = True
    """Whether token answers have `expires_in`, which OAuth 2 only recommends."""


@dataclass(slots=True, eq=False)
class ServiceAccount:
    """A service account and what the domain's administrator allows it."""

    client_email: str
    public_key: str
    scopes: frozenset[str]
    subjects: frozenset[str]
    unauthorized: frozenset[str]


@dataclass(slots=True)
class Access:
    """An access token."""

    email: str
    scopes: tuple[str, ...]
    expires_at: float
    login: Login | None

    def valid(self) -> bool:
        """By real time: Google does not see a test's clock."""
        return time.time() < self.expires_at and not (self.login is not None and self.login.revoked)


@dataclass(slots=True, eq=False)
class GmailWorld:
    """All mailboxes and tokens."""

    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    service_accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    tokens: dict[str, Access] = field(default_factory=dict)
    expires_in: int = 3599

    def mailbox(self, email: str) -> Mailbox:
        try:
            return self.mailboxes[email]
        except KeyError:
            raise OrderError(f"there is no mailbox {email}") from None


def _packed(answer: Json) -> bytes:
    """Write JSON; orjson refuses what is nested deeper than 254 levels."""
    try:
        return orjson.dumps(answer)
    except orjson.JSONEncodeError:
        return json.dumps(answer).encode()
