"""The yardstick: what a bare fetch and copy of a Slack workspace costs, with nothing else promised.

fetch   aiohttp, 32 connections, orjson; users.conversations, each channel's history to its end in pages of
        999, and conversations.replies for every message that has replies
store   one COPY a table, once all is fetched, into the key columns, what a message says, which is read from its
        blocks by the same code as ours, and the item's JSON (jsonb) under a primary key

No limits, no retries, no checks, no names, no cursor: what it does is the least that any program does which
ends with the same rows. Before the measuring begins: imports, the connection to the database, the tables.
"""

import asyncio
import os
from asyncio import TaskGroup
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import orjson
import psycopg

from benchmarks.measure import told
from ingest_assets.sources.slack.text import said_by

CONNECTIONS = 32
PAGE = 999

TABLES = """
create table channels (channel_id text primary key, raw jsonb not null);
create table messages (
    channel_id text not null, ts text not null, thread_ts text, text text, raw jsonb not null,
    primary key (channel_id, ts)
);
"""


class Workspace:
    """Everything that the token shows, fetched."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self.channels: list[tuple[str, str]] = []
        self.messages: list[tuple[str, str, str | None, str | None, str]] = []
        self._session, self._base_url = session, base_url

    async def fetch(self) -> None:
        async with TaskGroup() as group:
            async for channels in self._pages("users.conversations", "channels"):
                for channel in channels:
                    self.channels.append((channel["id"], _json(channel)))
                    group.create_task(self._history(group, channel["id"]))

    async def _history(self, group: TaskGroup, channel: str) -> None:
        async for messages in self._pages("conversations.history", "messages", channel=channel):
            for message in messages:
                self._keep(channel, message)
                if message.get("reply_count"):
                    group.create_task(self._replies(channel, message["ts"]))

    async def _replies(self, channel: str, thread_ts: str) -> None:
        async for messages in self._pages("conversations.replies", "messages", channel=channel, ts=thread_ts):
            for message in messages:
                if message["ts"] != thread_ts:
                    self._keep(channel, message)

    def _keep(self, channel: str, message: dict[str, Any]) -> None:
        text = said_by(message).markup
        self.messages.append((channel, message["ts"], message.get("thread_ts"), text, _json(message)))

    async def _pages(self, method: str, key: str, **params: str) -> AsyncGenerator[list[dict[str, Any]]]:
        params["limit"] = str(PAGE)
        while True:
            async with self._session.get(self._base_url + method, params=params) as response:
                answer = orjson.loads(await response.read())
            yield answer[key]
            params["cursor"] = answer.get("response_metadata", {}).get("next_cursor", "")
            if not params["cursor"]:
                return


def _json(item: dict[str, Any]) -> str:
    return orjson.dumps(item).decode()


async def fetch(base_url: str, token: str) -> Workspace:
    """Fetch a whole workspace, 32 requests at a time."""
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"}, connector=aiohttp.TCPConnector(limit=CONNECTIONS)
    ) as session:
        workspace = Workspace(session, base_url)
        await workspace.fetch()
        return workspace


def store(conn: psycopg.Connection, workspace: Workspace) -> None:
    """Copy a workspace into its tables, in one transaction."""
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy("copy channels from stdin") as copy:
            for channel in workspace.channels:
                copy.write_row(channel)
        with cursor.copy("copy messages from stdin") as copy:
            for message in workspace.messages:
                copy.write_row(message)


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(TABLES)
        with told():
            store(conn, asyncio.run(fetch(os.environ["SLACK_API_URL"], os.environ["BENCH_SLACK_TOKEN"])))


if __name__ == "__main__":
    main()
