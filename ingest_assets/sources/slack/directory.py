"""Who and what an account's messages name: its users, its channels, and which of these to read."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from ingest_assets.errors import PartUnreadable
from ingest_assets.sources.batch import Batch, stored
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.records import Names, SlackChannel, SlackUser
from ingest_assets.sources.slack.text import markup_of, mentioned
from ingest_assets.sources.source import Extraction, Page
from ingest_assets.sources.values import is_id
from ingest_assets.storage import reads

ACCOUNT = ""  # the stream of what concerns the account as a whole; the others are channel ids
RHYTHM = timedelta(days=1)  # how often users are read anew


class AccountCursor(BaseModel):
    """What we know of the account."""

    users_read_at: datetime | None = None
    limited: bool = False


class Directory:
    """The names of one account."""

    def __init__(self, run: Extraction, client: SlackClient) -> None:
        self.run, self.client = run, client
        self.names = Names()
        self.account = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {}))
        self.listed: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()

    async def read(self) -> AsyncGenerator[Page]:
        """Learn users (daily) and channels (always) by name."""
        rows = await stored(
            self.run, reads.rows_where, SlackUser.table, self.run.account.account_id, {}, ["external_id", "name"]
        )
        self.names.users |= {row.external_id: row.name for row in rows if row.name}
        self._asked = {row.external_id for row in rows}
        last = self.account.users_read_at
        if last is None or self.run.started_at - last >= RHYTHM:
            async with aclosing(self.client.users()) as pages:
                async for members in pages:
                    yield self._users(members)
            self.account = self.account.model_copy(update={"users_read_at": self.run.started_at})
            yield Page(stream=ACCOUNT, cursor=self.account)
        types = "public_channel" if self.run.settings.public_only else "public_channel,private_channel"
        async with aclosing(self.client.joined_channels(types)) as pages:
            async for channels in pages:
                batch = Batch()
                for channel in channels:
                    batch.parse(SlackChannel, channel, lambda item: SlackChannel.from_api(self.run.account, item))
                self.listed |= {record.external_id: record.raw for record in batch.records}
                yield Page(batch.records, rejected=batch.rejected)
        self.names.channels = {key: channel["name"] for key, channel in self.listed.items() if channel.get("name")}

    def _users(self, members: Sequence[Any]) -> Page:
        batch = Batch()
        for member in members:
            batch.parse(SlackUser, member, lambda item: SlackUser.from_api(self.run.account, item))
        self._remember(batch)
        return Page(batch.records, rejected=batch.rejected)

    def _remember(self, batch: Batch) -> None:
        self.names.users |= {
            user.external_id: user.name for user in batch.records if isinstance(user, SlackUser) and user.name
        }

    async def selected(self) -> list[dict[str, Any]]:
        """Give the channels to read; the account's choice is by id or name, none means all that are joined."""
        choice = self.run.settings.channels
        if not choice:
            return list(self.listed.values())
        by_name = {channel.get("name"): channel for channel in self.listed.values()}
        channels = []
        for wanted in choice:
            channel = self.listed.get(wanted) or by_name.get(wanted.removeprefix("#"))
            if channel is None and self.run.settings.join:
                channel = await self._join(wanted)
            elif channel is None:
                self.run.skipped[wanted] = "not_in_channel"
            if channel is not None:
                channels.append(channel)
        return channels

    async def _join(self, channel_id: str) -> dict[str, Any] | None:
        try:
            await self.client.join(channel_id)
        except PartUnreadable as error:
            self.run.skipped[channel_id] = error.code
            return None
        return {"id": channel_id}

    async def guests(self, messages: Sequence[Any]) -> Batch:
        """Look up users that the directory does not list, guests from other companies for one, once each."""
        wanted: set[str] = set()
        for message in messages:
            with suppress(*UNPARSEABLE):  # it is set aside when it is parsed
                wanted |= {message.get("user")} | mentioned(markup_of(message) or "")
        wanted = {user for user in wanted if is_id(user)} - (self.names.users.keys() | self._asked)
        self._asked |= wanted
        batch = Batch()
        for user_id in sorted(wanted):
            try:
                user = await self.client.user(user_id)
            except PartUnreadable as error:
                user = {"id": user_id, "error": error.code}  # stored too, so that nobody asks again
            batch.parse(SlackUser, user, lambda item: SlackUser.from_api(self.run.account, item))
        self._remember(batch)
        return batch
