"""What we keep of Slack: messages (with replies and broadcasts), and the users and channels they name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import Connection, Row

from ingest_assets.sources.columns import Id
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import ConversationRecord, Record, account_of
from ingest_assets.sources.slack.text import markup_of, readable
from ingest_assets.sources.values import UnusableValue
from ingest_assets.storage import reads

TS = re.compile(r"\d{10}\.\d{6}", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BROADCAST = "thread_broadcast"
TOMBSTONE = "tombstone"


def at(ts: str) -> datetime:
    """Convert Slack's "seconds.micros" exactly; a float would lose the last digit."""
    seconds, _, micros = ts.partition(".")
    return EPOCH + timedelta(seconds=int(seconds), microseconds=int(micros))


def ts_of(moment: datetime) -> str:
    """Write a moment the way Slack does; the fixed width makes text order time order."""
    since = moment - EPOCH
    return f"{since.days * 86_400 + since.seconds:010d}.{since.microseconds:06d}"


@dataclass
class Names:
    """Names by id, for readable text."""

    users: dict[str, str] = field(default_factory=lambda: {"USLACKBOT": "Slackbot"})
    channels: dict[str, str] = field(default_factory=dict)


class SlackMessage(ConversationRecord, table="slack_messages"):
    """A message, a thread reply or a broadcast reply; `conversation_id` is its thread."""

    # what a walk through a channel's time compares with what is stored
    indexes: ClassVar = (("account_id", "channel_id", "ts"), ("workspace_id", "occurred_at"))
    # how the reader stands to a thread, and the parent's copy inside a broadcast reply
    volatile: ClassVar = frozenset({"subscribed", "last_read", "unread_count", "root"})

    # as of the last complete read of the thread, and how the message was found
    kept: ClassVar = frozenset({"reply_count", "latest_reply", "in_channel"})

    channel_id: Id
    ts: Id = Field(description="Slack's time and id of the message, unique within its channel")
    thread_ts: Id | None = Field(description="the parent's ts; equal to ts on a parent")
    in_channel: bool = Field(description="shown in the channel itself, not only in a thread")
    author_id: str | None = Field(description="a user, else a bot, else the name a bot gave itself")
    author_name: str | None = Field(None, description="as people were shown it")
    subtype: str | None
    edited_ts: str | None
    reply_count: int | None = Field(description="of a parent, as of the last complete read of its thread")
    latest_reply: str | None = Field(description="of a parent, as of the last complete read of its thread")

    @staticmethod
    def id_of(channel_id: str, ts: str) -> str:
        return f"{channel_id}:{ts}"

    @classmethod
    def from_api(
        cls, account: Account, channel_id: str, message: dict[str, Any], names: Names, *, in_channel: bool
    ) -> "SlackMessage":
        """Parse an item of conversations.history (`in_channel`) or conversations.replies."""
        ts = message["ts"]
        if not TS.fullmatch(ts):
            raise UnusableValue("not seconds.micros", "ts", ts)
        thread_ts = message.get("thread_ts")
        subtype = message.get("subtype")
        deleted = subtype == TOMBSTONE
        markup = None if deleted else markup_of(message)
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=cls.id_of(channel_id, ts),
            conversation_id=cls.id_of(channel_id, thread_ts or ts),
            occurred_at=at(ts),
            text=None if markup is None else readable(markup, names.users, names.channels),
            raw=message,
            deleted=deleted,
            channel_id=channel_id,
            ts=ts,
            thread_ts=thread_ts,
            in_channel=in_channel or subtype == BROADCAST,
            author_id=message.get("user") or message.get("bot_id") or message.get("username"),
            subtype=subtype,
            edited_ts=(message.get("edited") or {}).get("ts"),
            reply_count=message.get("reply_count"),
            latest_reply=message.get("latest_reply"),
        )

    @classmethod
    def beside(cls, conn: Connection, rows: Sequence[Row[Any]]) -> dict[int, Names]:
        """Read the names that each account knows."""
        return {
            account_id: Names(
                users=Names().users | _names(conn, SlackUser, account_id),
                channels=_names(conn, SlackChannel, account_id),
            )
            for account_id in {row.account_id for row in rows}
        }

    @classmethod
    def rederive(cls, row: Row[Any], beside: dict[int, Names]) -> "SlackMessage":
        names = beside[row.account_id]
        return cls.from_api(account_of(row), row.channel_id, row.raw, names, in_channel=row.in_channel)


def _names(conn: Connection, record: type[Record], account_id: int) -> dict[str, str]:
    rows = reads.rows_where(conn, record.table, account_id, {}, ["external_id", "name"])
    return {row.external_id: row.name for row in rows if row.name}


class SlackUser(Record, table="slack_users"):
    """A person or a bot that the workspace's directory knows, or that a message named."""

    name: str | None = Field(description="display name, else real name, else handle")
    email: str | None = Field(description="needs the scope users:read.email")
    is_bot: bool | None
    is_deleted: bool | None

    @classmethod
    def from_api(cls, account: Account, user: dict[str, Any]) -> "SlackUser":
        profile: Mapping[str, Any] = user.get("profile") or {}
        name = profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name")
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

    name: str | None
    is_private: bool | None
    is_archived: bool | None

    @classmethod
    def from_api(cls, account: Account, channel: dict[str, Any]) -> "SlackChannel":
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=channel["id"],
            raw=channel,
            name=channel.get("name"),
            is_private=channel.get("is_private"),
            is_archived=channel.get("is_archived"),
        )
