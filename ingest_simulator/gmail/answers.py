"""What the Gmail API's methods answer."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Any

import orjson

from ingest_simulator.gmail.world import HIDDEN, READONLY, Access, Mail, Mailbox
from ingest_simulator.wire import Json

METADATA = "https://www.googleapis.com/auth/gmail.metadata"
READING = frozenset({READONLY, "https://www.googleapis.com/auth/gmail.modify", "https://mail.google.com/"})
TERM = re.compile(r"(-?)(after|before|newer_than|in|label|category):(\S+)")
DAYS = re.compile(r"(\d+)d")
DEFAULT = 100
PLACES = {"chats": "CHAT", "spam": "SPAM", "trash": "TRASH", "draft": "DRAFT", "drafts": "DRAFT", "inbox": "INBOX"}


class GmailError(Exception):
    """The request is answered with this status and reason."""

    def __init__(self, status: int, reason: str, text: str, *, domain: str = "global") -> None:
        super().__init__(text)
        self.status, self.reason, self.text, self.domain = status, reason, text, domain

    def body(self) -> bytes:
        error = {
            "code": self.status,
            "message": self.text,
            "errors": [{"message": self.text, "domain": self.domain, "reason": self.reason}],
        }
        return orjson.dumps({"error": error})


@dataclass(slots=True)
class Call:
    """One method call, alone or inside a batch."""

    mailbox: Mailbox
    access: Access
    method: str
    ids: tuple[str, ...]
    query: dict[str, list[str]]
    now: float
    repeat_cursor: bool = False

    def one(self, name: str, default: str = "") -> str:
        return self.query[name][-1] if name in self.query else default

    def limit(self) -> int:
        given = self.one("maxResults", str(DEFAULT))
        if not given.isdecimal():
            raise GmailError(400, "invalidArgument", "Invalid value for maxResults")
        return min(max(int(given), 1), self.mailbox.settings.page_cap)

    def form(self, allowed: tuple[str, ...]) -> str:
        form = self.one("format", "full")
        if form not in allowed:
            raise GmailError(400, "invalidArgument", "Invalid format")
        if form in ("full", "raw") and READING.isdisjoint(self.access.scopes):
            raise GmailError(403, "forbidden", "Metadata scope doesn't allow format FULL")
        return form


def answer(call: Call) -> bytes:
    """Carry a call out. Raises GmailError."""
    if READING.isdisjoint(call.access.scopes) and METADATA not in call.access.scopes:
        raise GmailError(403, "insufficientPermissions", "Insufficient Permission")
    if not call.mailbox.settings.enabled:
        raise GmailError(400, "failedPrecondition", "Mail service not enabled")
    if call.mailbox.quota_exceeded(call.method, call.now):
        status = call.mailbox.settings.quota_status
        reason = "userRateLimitExceeded" if status == 403 else "rateLimitExceeded"
        raise GmailError(status, reason, "User-rate limit exceeded.", domain="usageLimits")
    return ANSWERS[call.method](call)


def _profile(call: Call) -> bytes:
    box = call.mailbox
    return orjson.dumps(
        {
            "emailAddress": box.email,
            "messagesTotal": len(box.mail),
            "threadsTotal": len(box.threads),
            "historyId": str(box.history_id),
        }
    )


def _labels(call: Call) -> bytes:
    labels = [
        {"id": label_id, "name": name, "type": "system" if label_id == name else "user"}
        for label_id, name in call.mailbox.labels.items()
    ]
    return orjson.dumps({"labels": labels})


def _threads_list(call: Call) -> bytes:
    box = call.mailbox
    keep = _filter(call)
    newest: dict[str, float] = {}
    for thread_id, ids in box.threads.items():
        moments = [box.mail[one].moment for one in ids if keep(box.mail[one])]
        if moments:
            newest[thread_id] = max(moments)
    ordered = sorted(newest, key=lambda thread_id: (-newest[thread_id], thread_id))
    page, following = _page(call, ordered)
    shown = [
        {
            "id": thread_id,
            "snippet": box.messages_of(thread_id)[-1].snippet,
            "historyId": str(box.touched[thread_id]),
        }
        if thread_id not in box.relisted
        else box.relisted[thread_id]
        for thread_id in page
    ]
    return _listing("threads", shown, following, len(ordered))


def _messages_list(call: Call) -> bytes:
    keep = _filter(call)
    found = sorted((m for m in call.mailbox.mail.values() if keep(m)), key=lambda m: (-m.moment, m.id))
    page, following = _page(call, [mail.id for mail in found])
    shown = [{"id": one, "threadId": call.mailbox.mail[one].thread_id} for one in page]
    return _listing("messages", shown, following, len(found))


def _thread(call: Call) -> bytes:
    form = call.form(("full", "metadata", "minimal"))
    if call.ids[0] not in call.mailbox.threads:
        raise GmailError(404, "notFound", "Requested entity was not found.")
    return call.mailbox.thread(call.ids[0], form)


def _message(call: Call) -> bytes:
    form = call.form(("full", "metadata", "minimal", "raw"))
    mail = call.mailbox.mail.get(call.ids[0])
    if mail is None:
        raise GmailError(404, "notFound", "Requested entity was not found.")
    call.mailbox.nonce += 1
    return orjson.dumps(mail.shown(form, str(call.mailbox.nonce)))


def _attachment(call: Call) -> bytes:
    mail = call.mailbox.mail.get(call.ids[0])
    part_id = call.ids[1].partition(".")[2]
    if mail is None or part_id not in mail.attachments:
        raise GmailError(404, "notFound", "Requested entity was not found.")
    data = mail.attachments[part_id]
    return orjson.dumps({"size": len(data), "data": data})


def _history(call: Call) -> bytes:
    box, start = call.mailbox, call.one("startHistoryId")
    if not start.isdecimal():
        raise GmailError(400, "invalidArgument", "Missing or invalid startHistoryId")
    if int(start) < box.oldest_history or int(start) > box.history_id:
        raise GmailError(404, "notFound", "Requested entity was not found.")
    kinds = {f"{_plural(kind)}" for kind in call.query.get("historyTypes", ())}
    wanted = call.one("labelId")
    found = [
        change
        for change in box.history
        if change.id > int(start)
        and (box.settings.listed_to is None or change.id <= box.settings.listed_to)
        and (not kinds or change.kind in kinds)
        and (not wanted or wanted in change.labels)
    ]
    page, following = _page(call, [str(change.id) for change in found])
    chosen = set(page)
    shown = [change.shown() for change in found if str(change.id) in chosen]
    document: Json = {"historyId": str(box.history_id)}
    if shown:
        document["history"] = shown
    if following is not None:
        document["nextPageToken"] = following
    return orjson.dumps(document)


def _plural(kind: str) -> str:
    """Return the name in an answer of a kind in a request: messagesAdded of messageAdded."""
    return kind.replace("message", "messages").replace("label", "labels")


def _listing(key: str, items: list[Json], following: str | None, estimate: int) -> bytes:
    document: Json = {"resultSizeEstimate": min(estimate, 201)}
    if items:
        document[key] = items
    if following is not None:
        document["nextPageToken"] = following
    return orjson.dumps(document)


def _page(call: Call, ids: list[str]) -> tuple[list[str], str | None]:
    """Return a page of ids and the token of the next one, bound to the query."""
    query = {name: values for name, values in call.query.items() if name != "pageToken"}
    digest = orjson.dumps([call.method, query], option=orjson.OPT_SORT_KEYS).decode()
    start = 0
    given = call.one("pageToken")
    if given:
        try:
            owner, start = orjson.loads(urlsafe_b64decode(given))
        except (Base64Error, ValueError):
            raise GmailError(400, "invalidArgument", "Invalid pageToken") from None
        if owner != digest:
            raise GmailError(400, "invalidArgument", "Invalid pageToken")
    limit = call.limit()
    if call.repeat_cursor and given:
        return ids[start : start + limit], given
    more = start + limit < len(ids)
    return ids[start : start + limit], (
        urlsafe_b64encode(orjson.dumps([digest, start + limit])).decode() if more else None
    )


def _filter(call: Call) -> Any:
    """Return what `q`, labelIds and includeSpamTrash keep of the messages."""
    query = call.one("q")
    if query and READING.isdisjoint(call.access.scopes):
        raise GmailError(403, "forbidden", "Metadata scope does not support 'q' parameter")
    labels = set(call.query.get("labelIds", ()))
    for unknown in sorted(labels - call.mailbox.labels.keys()):
        raise GmailError(400, "invalidArgument", f"Invalid label: {unknown}")
    hidden = set() if call.one("includeSpamTrash") == "true" else set(HIDDEN)
    after, before = float("-inf"), float("inf")
    wanted, refused = set(labels), set(hidden)
    for minus, name, value in TERM.findall(query):
        if name == "newer_than":
            days = DAYS.fullmatch(value)
            after = call.now - 86_400 * int(days[1]) if days else after
        elif name in ("after", "before"):
            if not value.isdecimal():
                raise GmailError(400, "invalidArgument", "Dates must be epoch seconds here")
            after, before = (int(value), before) if name == "after" else (after, int(value))
        else:
            label = PLACES.get(value) or call.mailbox.label_id(value)
            (refused if minus else wanted).add(label)

    late = call.mailbox.unlisted()

    def keep(mail: Mail) -> bool:
        if mail.id in late:
            return False
        return after <= mail.moment < before and wanted <= mail.labels and refused.isdisjoint(mail.labels)

    return keep


ANSWERS = {
    "profile": _profile,
    "labels.list": _labels,
    "threads.list": _threads_list,
    "threads.get": _thread,
    "messages.list": _messages_list,
    "messages.get": _message,
    "attachments.get": _attachment,
    "history.list": _history,
}
