"""Gmail: mail, replies, labels put on and taken off, trash, deletions, a history that expires."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ingest_assets.sources.gmail.records import GmailMessage
from tests.proof.operations import WORKSPACE
from tests.proof.worlds import Item, Numbers, Shown, World, picked, spoken
from tests.sources.tenants import GmailTenant, Tenant

AGES = (0.0, 0.2, 5.0, 50.0, 500.0)  # hours
LABEL, LABEL_ID = "Customers", "Label_1"
HIDDEN = {"SPAM", "TRASH", "DRAFT", "CHAT"}
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # the history tells of every change, whenever the mail was sent


class GmailLife(World):
    faults = {  # noqa: RUF012
        "threads.list": ("backendError", "rateLimitExceeded", "userRateLimitExceeded"),
        "threads.get": ("backendError", "rateLimitExceeded", "forbidden"),
        "history.list": ("backendError", "rateLimitExceeded"),
        "messages.get": ("backendError",),
        "attachments.get": ("backendError", "rateLimitExceeded"),
        "labels.list": ("backendError",),
        "profile": ("backendError", "authError"),
        "batch": ("backendError", "rateLimitExceeded"),
        "token": ("invalid_grant", "internal_failure"),
    }

    def customer(self) -> Tenant:
        return GmailTenant(self.bench, WORKSPACE)

    def connect(self) -> None:
        chosen: tuple[Mapping[str, Any], ...] = ({}, {"labels": (LABEL,)}, {"exclude_labels": (LABEL,)})
        self.tenant.connect(**chosen[self.variant])

    def begin(self, numbers: Numbers) -> None:
        self.tenant.order("settings", page_cap=2 + numbers[4] % 4)
        self.texts: dict[str, str] = {}
        for place in range(4 + numbers[2] % 6):
            labels = picked((["INBOX"], ["INBOX", LABEL]), place)
            self._message(hours_ago=picked(AGES, place + numbers[3]), labels=labels)

    def live(self, numbers: Numbers) -> str:
        verbs = (
            (self._new, 4),
            (self._reply, 5),
            (self._label, 4),
            (self._trash, 3),
            (self._delete, 3),
            (self._expire, 1),
            (self._draft, 1),
            (lambda _numbers: self.malform(), 1),
        )
        return str(picked([verb for verb, weight in verbs for _ in range(weight)], numbers[0])(numbers[1:]))

    def _message(self, **fields: Any) -> str:
        made = self.tenant.order("message", text=(said := self.words()), **fields)
        self.texts[made["message"]] = said
        return str(made["message"])

    def _new(self, numbers: Numbers) -> str:
        labels = picked(
            (["INBOX"], ["INBOX"], ["SENT"], ["SPAM"], ["INBOX", "Customers"], ["Customers"]), numbers[0]
        )
        return f"new {self._message(labels=labels, body_as_attachment=numbers[1] % 5 == 0)}"

    def _threads(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.bench.ask("gmail/state", mailbox=self.tenant.vendor_id)["threads"]
        return [thread for thread in found if thread["id"] not in self.malformed]

    def _reply(self, numbers: Numbers) -> str:
        threads = self._threads()
        if not threads:
            return "no thread"
        thread = picked(threads, numbers[0])["id"]
        return (
            f"replied {self._message(thread=thread, labels=picked((['INBOX'], ['SENT'], ['DRAFT']), numbers[1]))}"
        )

    def _change(self, verb: str, numbers: Numbers, **fields: Any) -> str:
        threads = self._threads()
        if not threads:
            return "no thread"
        thread = picked(threads, numbers[0])
        chosen = (
            {"message": picked(thread["messages"], numbers[2])["id"]}
            if numbers[1] % 2
            else {"thread": thread["id"]}
        )
        self.tenant.order(verb, **chosen, **fields)
        return f"{verb} {chosen} {fields}"

    def _label(self, numbers: Numbers) -> str:
        label = picked(("STARRED", "UNREAD", "Customers", "TRASH", "SPAM", "INBOX"), numbers[3])
        return self._change("labels", numbers, **{picked(("add", "remove"), numbers[4]): [label]})

    def _trash(self, numbers: Numbers) -> str:
        return self._change("trash", numbers)

    def _delete(self, numbers: Numbers) -> str:
        return self._change("delete", numbers)

    def _expire(self, _numbers: Numbers) -> str:
        self.tenant.order("expire_history")
        return "history expired"

    def _draft(self, _numbers: Numbers) -> str:
        self.tenant.order("draft")
        return "draft"

    def shown(self) -> Shown:
        found = {}
        for thread in self._threads():
            mail = [one for one in thread["messages"] if HIDDEN.isdisjoint(one["labels"])]
            labels = {label for one in mail for label in one["labels"]}
            left_out = (self.variant == 1 and LABEL_ID not in labels) or (self.variant == 2 and LABEL_ID in labels)
            if mail and not left_out:
                content = tuple(
                    (one["id"], self.texts.get(one["id"], ""), tuple(one["labels"]))
                    for one in sorted(mail, key=lambda one: str(one["id"]))
                )
                found[thread["id"]] = Item(content, ALWAYS)
        return found

    def stored(self) -> Shown:
        threads = {key: row for key, row in self.tenant.rows.items() if row.deleted_at is None}
        found: dict[str, list[Any]] = {key: [] for key in threads}
        for row in sorted(self.tenant.stored(GmailMessage.table), key=lambda row: str(row.external_id)):
            if row.deleted_at is None:
                mail = (row.external_id, spoken(row.text), tuple(row.label_ids))
                found.setdefault(row.thread_id, []).append(mail)
        return {key: Item(tuple(mail), ALWAYS) for key, mail in found.items()}

    def promised(self, item: Item, began: datetime) -> bool:
        return True  # the history tells of every change
