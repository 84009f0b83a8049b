"""What we keep of Gmail: threads and the messages in them, as text, without attachments' contents."""

import operator
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, Self

from pydantic import Field
from sqlalchemy import Connection, func

from ingest_assets.sources.columns import Id
from ingest_assets.sources.gmail.addresses import addresses_of, decoded_header
from ingest_assets.sources.gmail.body import body_of, kept_apart
from ingest_assets.sources.gmail.mime import headers_of, stripped
from ingest_assets.sources.gmail.new_text import new_text_of
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.login import Account
from ingest_assets.sources.people import cleaner
from ingest_assets.sources.personal import Personal
from ingest_assets.sources.record import ConversationRecord, Record, SetAside, account_of
from ingest_assets.sources.values import UnusableValue, checked_id
from ingest_assets.storage.existing import living
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.suppressed import People

Headers = Mapping[str, Sequence[str]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PASSING = frozenset({"historyId", "snippet"})
"""Fields that change without the message."""
HIDDEN = frozenset({"SPAM", "TRASH", "DRAFT", "CHAT"})


def labels_of(message: JsonView) -> list[str]:
    return sorted(message.get("labelIds") or ())


def visible(message: object) -> bool:
    """Whether a message is mail that somebody sent or got, and not thrown away."""
    return not isinstance(message, dict) or HIDDEN.isdisjoint(message.get("labelIds") or ())


class GmailMessage(ConversationRecord, table="gmail_messages"):
    """A message; `text` is its body without markup and attachments."""

    indexes: ClassVar = (("account_id", "thread_id"), ("workspace_id", "occurred_at"), ("rfc822_message_id",))
    telling: ClassVar = ("text",)
    whole: ClassVar = True
    # `raw` is without the body that these are read from
    kept: ClassVar = frozenset({"text", "text_shortened", "attachment_count", "body_omitted"})
    parser: ClassVar = 2  # lists of addresses, headers that are repeated or broken, new_text
    personal: ClassVar = Personal(
        owner=("sender",),
        keeps=frozenset({"id", "threadId", "internalDate", "labelIds"}),
        clears=("text", "new_text", "sender", "recipients", "cc", "bcc", "subject", "rfc822_message_id"),
        also_called=("rfc822_message_id",),
        named_in=("recipients", "cc", "bcc"),
    )

    thread_id: Id = Field(description="an external_id of raw.gmail_threads")
    rfc822_message_id: Id | None = Field(description="the header Message-ID: the same mail in every mailbox")
    sender: str | None = Field(description="the header From")
    recipients: list[str] = Field(description="the header To")
    cc: list[str] = Field(default_factory=list, description="the header Cc")
    bcc: list[str] = Field(default_factory=list, description="the header Bcc, which only sent mail has")
    subject: str | None = Field(description="the header Subject")
    label_ids: list[str] = Field(description="sorted")
    size_bytes: int | None = Field(description="Gmail's estimate, attachments included")
    attachment_count: int = Field(description="how many there are; their contents are not stored")
    body_omitted: bool = Field(description="the message is larger than GMAIL_MAX_MESSAGE_BYTES")
    new_text: str | None = Field(None, description="what is new in this mail, without quotes and signature")

    @classmethod
    def from_api(
        cls, account: Account, message: Json, fetched: Mapping[str, str], *, max_bytes: int
    ) -> "GmailMessage":
        """Parse a message of threads.get; `fetched`: bodies that Gmail keeps apart, by partId."""
        payload = message.get("payload") or {}
        headers = headers_of(payload)
        size = message.get("sizeEstimate")
        omitted = size is not None and size > max_bytes
        body = body_of(payload, fetched, omitted=omitted)
        text = None if omitted else body.text
        subject = _first(headers, "subject")
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=message["id"],
            conversation_id=message["threadId"],
            occurred_at=at(message["internalDate"]),
            text=text,
            text_shortened=body.shortened,
            raw={key: value for key, value in message.items() if key not in PASSING}
            | {"payload": stripped(payload)},
            thread_id=message["threadId"],
            rfc822_message_id=_first(headers, "message-id"),
            sender=_first(headers, "from"),
            recipients=addresses_of(headers.get("to", ())),
            cc=addresses_of(headers.get("cc", ())),
            bcc=addresses_of(headers.get("bcc", ())),
            subject=subject,
            label_ids=labels_of(message),
            size_bytes=size,
            attachment_count=body.attachment_count,
            body_omitted=omitted,
            new_text=None if text is None else new_text_of(text, subject),
        )

    def without(self, people: People) -> Self:
        """Do as every record; of somebody else's mail that names an erased person only what is new in it stays.

        It may quote them, and it names them in its headers: also their mail, by its id, where it answers that.
        """
        if self.personal.owned(self, people):
            return self.emptied(people)
        names = self.personal.names(self, people)
        raw, clean = self.personal.taken_out(self.raw, people, names), cleaner(people, None, names)
        if raw is self.raw and (self.text is None or clean(self.text) == self.text):
            return self
        return self._with(raw, text=None if self.text is None else clean(self.new_text or ""))

    @classmethod
    def rederive(cls, row: StoredRow, _beside: None) -> "GmailMessage":
        made = cls.from_api(account_of(row), row.raw, {}, max_bytes=sys.maxsize)
        new_text = None if row.text is None else new_text_of(row.text, made.subject)
        return made.model_copy(update={"text": row.text, "new_text": new_text})

    @classmethod
    def replay(cls, item: SetAside, payload: Json) -> "GmailMessage":
        if kept_apart(payload.get("payload") or {}):
            raise UnusableValue("kept apart by Gmail: the next sync that reads its thread has it", "body", "")
        return cls.from_api(item.account, payload, {}, max_bytes=sys.maxsize)

    @classmethod
    def after_replay(cls, conn: Connection, account: Account, taken: Sequence[Record]) -> "list[GmailThread]":
        """Return the messages' threads, recomputed, without a history_id: the next full listing reads them."""
        threads = {one.thread_id for one in taken if isinstance(one, GmailMessage)}
        whose: list[Any] = [
            SimpleNamespace(account_id=account.account_id, external_id=one) for one in sorted(threads)
        ]
        mail = GmailThread.beside(conn, whose)
        return [
            GmailThread.from_messages(account, {"id": one}, mail[account.account_id, one])
            for one in sorted(threads)
        ]

    @classmethod
    def stored(cls, row: StoredRow) -> "GmailMessage":
        """Make the message of its row, without parsing anything."""
        return cls.model_construct(**{name: getattr(row, name) for name in STORED})


STORED = ("workspace_id", "account_id", "external_id", "raw", *GmailMessage.own_fields)


class GmailThread(ConversationRecord, table="gmail_threads"):
    """A thread; `text` is what is new in each of its messages, oldest first, under its sender and time."""

    indexes: ClassVar = (("account_id", "occurred_at"), ("workspace_id", "occurred_at"))
    telling: ClassVar = ("text",)
    parser: ClassVar = 2  # of each message what is new
    loose: ClassVar = frozenset({"history_id"})  # changes without the thread
    sums_up: ClassVar = GmailMessage
    personal: ClassVar = Personal(clears=("text", "subject"))

    subject: str | None = Field(description="of its first message")
    message_count: int = Field(description="how many are kept, without spam, trash and drafts")
    began_at: datetime = Field(description="when its first message was sent")
    history_id: str | None = Field(description="as of the read that last changed this row")

    _messages: ClassVar[Sequence[GmailMessage]] = ()
    """What it was made of; each instance has its own."""

    @classmethod
    def from_messages(cls, account: Account, thread: Json, messages: Sequence[GmailMessage]) -> Self:
        """Sum up a thread of threads.get and those of its messages that are kept; there must be one."""
        ordered = sorted(messages, key=lambda message: (message.occurred_at, message.external_id))
        first, last = ordered[0], ordered[-1]
        made = cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=thread["id"],
            conversation_id=thread["id"],
            occurred_at=last.occurred_at,
            text="\n\n".join(_spoken(message) for message in ordered),
            raw={
                "id": thread["id"],
                "messages": [{"id": one.external_id, "labelIds": one.label_ids} for one in ordered],
            },
            subject=first.subject,
            text_shortened=any(message.text_shortened for message in ordered),
            message_count=len(ordered),
            began_at=first.occurred_at,
            history_id=thread.get("historyId"),
        )
        made.__dict__["_messages"] = ordered
        return made

    def without(self, people: People) -> Self:
        """Sum up the thread's mail without erased people."""
        messages = [message.without(people) for message in self._messages]
        if all(map(operator.is_, messages, self._messages)):
            return self
        row: Any = self
        thread = {"id": self.external_id, "historyId": self.history_id}
        return type(self).from_messages(account_of(row), thread, messages)

    @classmethod
    def beside(cls, conn: Connection, rows: Sequence[StoredRow]) -> dict[tuple[int, str], list[GmailMessage]]:
        """Read the mail of some threads."""
        found: dict[tuple[int, str], list[GmailMessage]] = {}
        columns = list(STORED)
        for account_id in {row.account_id for row in rows}:
            threads = [row.external_id for row in rows if row.account_id == account_id]
            mail = living(GmailMessage.table, account_id, columns)
            for row in conn.execute(mail.where(GmailMessage.table.c.thread_id == func.any(threads))):
                found.setdefault((account_id, row.thread_id), []).append(GmailMessage.stored(row))
        return found

    @classmethod
    def rederive(cls, row: StoredRow, beside: dict[tuple[int, str], list[GmailMessage]]) -> "GmailThread":
        thread = {"id": row.external_id, "historyId": row.history_id}
        return cls.from_messages(account_of(row), thread, beside[row.account_id, row.external_id])

    @classmethod
    def replay(cls, item: SetAside, payload: Json) -> "GmailThread":
        mail = item.beside.get((item.account.account_id, item.key))
        if not mail:
            raise UnusableValue("not stored", "messages", "")
        return cls.from_messages(item.account, {"id": item.key, "historyId": payload.get("historyId")}, mail)


def id_of(item: Any, name: str) -> str:
    """Read an id. Raises KeyError, TypeError or UnusableValue where there is none."""
    return checked_id(item[name], name)


def at(milliseconds: str) -> datetime:
    """Read an internalDate."""
    return EPOCH + timedelta(milliseconds=int(milliseconds))


def _spoken(message: GmailMessage) -> str:
    head = f"{message.sender or 'Unknown sender'}, {message.occurred_at:%Y-%m-%d %H:%M} UTC:"
    return f"{head}\n{message.new_text or message.text or '(not stored)'}"


def _first(headers: Headers, name: str) -> str | None:
    values = headers.get(name)
    return None if values is None else decoded_header(values[0])
