"""What we keep of Slack: messages (with replies and broadcasts), and the users and channels they name."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

from pydantic import Field
from sqlalchemy import Connection

from ingest_assets.sources.columns import Id
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.login import Account
from ingest_assets.sources.personal import Entries, Personal
from ingest_assets.sources.record import ConversationRecord, Record, SetAside, account_of
from ingest_assets.sources.slack.markup import readable
from ingest_assets.sources.slack.names import Names, author_name, name_in
from ingest_assets.sources.slack.text import Said, said_by
from ingest_assets.sources.values import HASH_BYTES, UnusableValue
from ingest_assets.storage.existing import living
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.suppressed import People

TS = re.compile(r"\d{10}\.\d{6}", re.ASCII)
NAMING = re.compile(r"<[@#]")  # people and channels
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SHOWN = "user_profile"  # in a message, or beside a refusal: what Slack shows of its author
BROADCAST = "thread_broadcast"
TOMBSTONE = "tombstone"
PERSON = re.compile(r"([UW](?<![A-Z0-9].)[A-Z0-9]{4,30})(?![A-Z0-9])(?:\|[^<>|]{0,100}(?=>))?")
"""An id of a user in any text, with the label that stands behind it in markup."""


def at(ts: str) -> datetime:
    """Convert Slack's "seconds.micros" exactly; a float would lose the last digit."""
    return EPOCH + timedelta(0, int(ts[:-7]), int(ts[-6:]))


def ts_of(moment: datetime) -> str:
    """Write a moment the way Slack does; the fixed width makes text order time order."""
    since = moment - EPOCH
    return f"{since.days * 86_400 + since.seconds:010d}.{since.microseconds:06d}"


class SlackMessage(ConversationRecord, table="slack_messages"):
    """A message, a thread reply or a broadcast reply; `conversation_id` is its thread."""

    parser: ClassVar = 2
    # what a walk through a channel's time compares with what is stored, and a thread with its replies
    indexes: ClassVar = (
        ("account_id", "channel_id", "ts"),
        ("account_id", "conversation_id"),
        ("workspace_id", "occurred_at"),
    )
    # how the reader stands to a thread, and the parent's copy inside a broadcast reply
    volatile: ClassVar = frozenset({"subscribed", "last_read", "unread_count", "root"})

    # as of the last complete read of the thread, and how the message was found
    kept: ClassVar = frozenset({"reply_count", "latest_reply", "in_channel"})
    loose: ClassVar = frozenset({"reply_count", "latest_reply", "in_channel", "author_name"})
    personal: ClassVar = Personal(
        owner=("author_id",),
        keeps=frozenset(
            {"type", "subtype", "ts", "thread_ts", "reply_count", "latest_reply", "reply_users_count", "edited"}
        ),
        clears=("text", "author_id", "author_name"),
        entries=(
            Entries("root", ("user",)),
            Entries("attachments", ("author_id",), ("author_name",)),
            Entries("files", ("user",)),
        ),
        ids=PERSON,
    )

    channel_id: Id = Field(description="where it was posted, an external_id of raw.slack_channels")
    ts: Id = Field(description="Slack's time and id of the message, unique within its channel")
    thread_ts: Id | None = Field(description="the parent's ts; equal to ts on a parent")
    in_channel: bool = Field(description="shown in the channel itself, not only in a thread")
    author_id: str | None = Field(description="a user, else a bot, else the name a bot gave itself")
    author_name: str | None = Field(None, description="as people were shown it")
    subtype: str | None = Field(description="Slack's, null for what a person or bot simply said")
    edited_ts: str | None = Field(description="Slack's time of the last edit")
    reply_count: int | None = Field(description="of a parent, as of the last complete read of its thread")
    latest_reply: str | None = Field(description="of a parent, as of the last complete read of its thread")

    _unnamed: ClassVar[tuple[str, ...]] = ()
    """People in the text without a known name; an instance has its own only where there are any."""
    _names: ClassVar[Names] = Names()
    """The names that the text was made with; each instance has its own."""

    @staticmethod
    def id_of(channel_id: str, ts: str) -> str:
        return f"{channel_id}:{ts}"

    @classmethod
    def from_api(
        cls,
        account: Account,
        channel_id: str,
        message: Json,
        names: Names,
        *,
        in_channel: bool,
        said: Said | None = None,
    ) -> "SlackMessage":
        """Parse an item of conversations.history (`in_channel`) or conversations.replies.

        `said`: what the message says, where that is known already.
        """
        ts = message["ts"]
        if not TS.fullmatch(ts):
            raise UnusableValue("not seconds.micros", "ts", ts)
        thread_ts, reply_count = message.get("thread_ts"), message.get("reply_count")
        subtype = message.get("subtype")
        deleted = subtype == TOMBSTONE
        said = Said(None) if deleted else said or said_by(message)
        record = cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=cls.id_of(channel_id, ts),
            conversation_id=cls.id_of(channel_id, thread_ts or ts),
            occurred_at=at(ts),
            text=None if said.markup is None else readable(said.markup, names.users, names.channels),
            text_shortened=said.shortened,
            raw=message,
            deleted=deleted,
            channel_id=channel_id,
            ts=ts,
            thread_ts=thread_ts,
            in_channel=in_channel or subtype == BROADCAST,
            author_id=message.get("user") or message.get("bot_id") or message.get("username"),
            author_name=author_name(message, names),
            subtype=subtype,
            edited_ts=(message.get("edited") or {}).get("ts"),
            reply_count=reply_count if isinstance(reply_count, int) else None,
            latest_reply=message.get("latest_reply"),
        )
        record.__dict__["_names"] = names
        if said.mentions:
            record.__dict__["_unnamed"] = tuple(sorted(said.mentions - names.users.keys()))
        return record

    def emptied(self, people: People) -> Self:
        made = super().emptied(people)
        made.__dict__.pop("_unnamed", None)
        return made

    def _beside(self) -> dict[int, Names]:
        return {self.account_id: self._names}

    def as_of(self, ledger: StoredRow | None) -> "SlackMessage":
        """Return the message with an earlier ledger of its thread, a row or None: the thread was not read now."""
        reply_count, latest_reply = (None, None) if ledger is None else (ledger.reply_count, ledger.latest_reply)
        return self.model_copy(update={"reply_count": reply_count, "latest_reply": latest_reply})

    def _made_row(self) -> RecordRow:
        """Make what is stored of the message.

        What is unfinished makes it another row than the finished one: a ledger that is behind the message, and
        people in the text whose names nobody told us yet.
        """
        row = super()._made_row()
        ledger: tuple[object, ...] = (self.reply_count, self.latest_reply)
        behind = ledger if ledger != (self.raw.get("reply_count"), self.raw.get("latest_reply")) else ()
        if not behind and not self._unnamed:
            return row
        unfinished = f"{behind} {self._unnamed}".encode()
        digest = hashlib.blake2b(row.content_hash + unfinished, digest_size=HASH_BYTES).digest()
        return row._replace(content_hash=digest)

    @classmethod
    def beside(cls, conn: Connection, rows: Sequence[StoredRow]) -> dict[int, Names]:
        """Read the names that each account knows."""
        return {
            account_id: Names(
                users=Names().users | _names(conn, SlackUser, account_id),
                channels=_names(conn, SlackChannel, account_id),
            )
            for account_id in {row.account_id for row in rows}
        }

    @classmethod
    def rederive(cls, row: StoredRow, beside: dict[int, Names]) -> "SlackMessage":
        names = beside[row.account_id]
        made = cls.from_api(account_of(row), row.channel_id, row.raw, names, in_channel=row.in_channel)
        return made.as_of(row)

    @classmethod
    def replay(cls, item: SetAside, payload: Json) -> "SlackMessage":
        channel_id, _, ts = item.key.partition(":")
        if ts != payload["ts"]:
            raise UnusableValue("not the channel's and the message's", "item_key", item.key)
        in_channel, names = payload.get("thread_ts") in (None, ts), item.beside[item.account.account_id]
        made = cls.from_api(item.account, channel_id, payload, names, in_channel=in_channel)
        return made.as_of(item.stored)

    def may_differ(self) -> frozenset[str]:
        """Return the ledger, and what holds names, which stay as they were when the message was read."""
        named = NAMING.search(said_by(self.raw).markup or "")
        return self.loose | {"text", "content_hash"} if named else self.loose

    def edited_at(self) -> datetime | None:
        return at(self.edited_ts) if self.edited_ts and TS.fullmatch(self.edited_ts) else None

    def left_to_read(self) -> tuple[str, str] | None:
        unread = self.raw.get("reply_count") and self.latest_reply != self.raw.get("latest_reply")
        return (self.external_id, f"thread of {self.occurred_at:%Y-%m-%d %H:%M} UTC") if unread else None


def _names(conn: Connection, record: type[Record], account_id: int) -> dict[str, str]:
    rows = conn.execute(living(record.table, account_id, ["external_id", "name"]))
    return {row.external_id: row.name for row in rows if row.name}


class SlackUser(Record, table="slack_users"):
    """A person or a bot that the workspace's directory knows, or that a message named."""

    name: str | None = Field(description="display name, else real name, else handle")
    email: str | None = Field(description="needs the scope users:read.email")
    is_bot: bool | None = Field(description="whether it is no person")
    is_deleted: bool | None = Field(description="whether Slack has deactivated it")

    personal: ClassVar = Personal(
        owner=("external_id", "email"),
        keeps=frozenset({"id", "team_id", "deleted", "is_bot"}),
        clears=("name", "email"),
        also_called=("external_id",),
    )

    @classmethod
    def from_api(cls, account: Account, user: Json) -> "SlackUser":
        profile: JsonView = user.get("profile") or {}
        name = name_in(profile) or user.get("real_name") or user.get("name") or name_in(user.get(SHOWN))
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=user["id"],
            raw=user,
            name=name,
            email=profile.get("email"),
            is_bot=user.get("is_bot"),
            is_deleted=user.get("deleted"),
        )


class SlackChannel(Record, table="slack_channels"):
    """A channel that the bot is a member of."""

    volatile: ClassVar = frozenset({"num_members", "updated"})
    personal: ClassVar = Personal(
        entries=(Entries("topic", ("creator",)), Entries("purpose", ("creator",))), ids=PERSON
    )

    name: str | None = Field(description="without #")
    is_private: bool | None = Field(description="whether only its members see it")
    is_archived: bool | None = Field(description="whether it is closed to new messages")

    @classmethod
    def from_api(cls, account: Account, channel: Json) -> "SlackChannel":
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=channel["id"],
            raw=channel,
            name=channel.get("name"),
            is_private=channel.get("is_private"),
            is_archived=channel.get("is_archived"),
        )
