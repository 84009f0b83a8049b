"""The parts alone, for Slack: the official SDK, typed records, one COPY a table."""

import asyncio
import os
from asyncio import TaskGroup
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Table

from benchmarks.measure import told
from benchmarks.parts import ACCOUNT, database, store
from benchmarks.yardstick import CONNECTIONS, PAGE
from ingest_assets.sources.record import Record
from ingest_assets.sources.slack.names import Names
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser
from ingest_assets.sources.slack.web import open_session, web_client
from ingest_assets.storage.record_tables import RecordRow


class Workspace:
    """Everything that the token shows, fetched and ready to be stored."""

    def __init__(self, web: AsyncWebClient) -> None:
        self.rows: defaultdict[Table, list[RecordRow]] = defaultdict(list)
        self._web, self._names = web, Names()

    async def fetch(self) -> None:
        async for users in self._pages("users.list", "members"):
            for user in users:
                made = SlackUser.from_api(ACCOUNT, user)
                self._names.users[made.external_id] = made.name or ""
                self._keep(made)
        async with TaskGroup() as group:
            async for channels in self._pages("users.conversations", "channels"):
                for channel in channels:
                    self._keep(SlackChannel.from_api(ACCOUNT, channel))
                    group.create_task(self._history(group, channel["id"]))

    async def _history(self, group: TaskGroup, channel: str) -> None:
        async for messages in self._pages("conversations.history", "messages", channel=channel):
            for message in messages:
                self._keep_message(channel, message, in_channel=True)
                if message.get("reply_count"):
                    group.create_task(self._replies(channel, message["ts"]))

    async def _replies(self, channel: str, thread_ts: str) -> None:
        async for messages in self._pages("conversations.replies", "messages", channel=channel, ts=thread_ts):
            for message in messages:
                if message["ts"] != thread_ts:
                    self._keep_message(channel, message, in_channel=False)

    def _keep_message(self, channel: str, message: dict[str, Any], *, in_channel: bool) -> None:
        self._keep(SlackMessage.from_api(ACCOUNT, channel, message, self._names, in_channel=in_channel))

    def _keep(self, record: Record) -> None:
        self.rows[record.table].append(record.row())

    async def _pages(self, method: str, key: str, **params: Any) -> AsyncGenerator[list[dict[str, Any]]]:
        params["limit"] = PAGE
        while True:
            answer: Any = (await self._web.api_call(method, http_verb="GET", params=params)).data
            yield answer[key]
            params["cursor"] = answer.get("response_metadata", {}).get("next_cursor", "")
            if not params["cursor"]:
                return


async def fetch(base_url: str, token: str) -> Workspace:
    """Fetch a whole workspace, 32 requests at a time."""
    async with open_session(CONNECTIONS) as session:
        workspace = Workspace(web_client(session, base_url, token))
        await workspace.fetch()
        return workspace


def main() -> None:
    with database() as engine, told():
        store(engine, asyncio.run(fetch(os.environ["SLACK_API_URL"], os.environ["BENCH_SLACK_TOKEN"])).rows)


if __name__ == "__main__":
    main()
