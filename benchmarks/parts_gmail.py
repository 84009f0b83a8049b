"""The parts alone, for Gmail: httpx, typed records, one COPY a table."""

import asyncio
import os
from asyncio import Semaphore, TaskGroup
from collections.abc import Iterable
from typing import Any

import anyio._backends._asyncio
import orjson

from benchmarks.bare_gmail import AT_ONCE, BATCH, BOUNDARY, batch_answers, batch_body
from benchmarks.contender import prepare
from benchmarks.measure import told
from benchmarks.parts import ACCOUNT, database, store
from ingest_assets.sources.client.http import http_client
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.storage.record_tables import RecordRow

assert anyio._backends._asyncio
MOST_BYTES = 10_000_000  # of a message


async def fetch(api_url: str, token_url: str) -> list[Any]:
    """Fetch all threads of the mailbox."""
    threads: list[Any] = []
    free = Semaphore(AT_ONCE)
    async with http_client() as http:
        form = {
            "grant_type": "refresh_token",
            "client_id": "client",
            "client_secret": os.environ["BENCH_GMAIL_SECRET"],
            "refresh_token": os.environ["BENCH_GMAIL_REFRESH"],
        }
        token = orjson.loads((await http.post(token_url, data=form)).content)["access_token"]
        headers = {"Authorization": f"Bearer {token}"}

        async def get(ids: list[str]) -> None:
            kind = {"Content-Type": f'multipart/mixed; boundary="{BOUNDARY}"'}
            async with free:
                response = await http.post(
                    f"{api_url}batch/gmail/v1", content=batch_body(ids), headers=headers | kind
                )
            threads.extend(batch_answers(response.content, response.headers["content-type"]))

        async with TaskGroup() as group:
            params = {"maxResults": "500"}
            while True:
                response = await http.get(f"{api_url}gmail/v1/users/me/threads", params=params, headers=headers)
                answer = orjson.loads(response.content)
                ids = [thread["id"] for thread in answer["threads"]]
                for start in range(0, len(ids), BATCH):
                    group.create_task(get(ids[start : start + BATCH]))
                if "nextPageToken" not in answer:
                    break
                params["pageToken"] = answer["nextPageToken"]
    return threads


def rows_of(threads: Iterable[Any]) -> tuple[list[RecordRow], list[RecordRow]]:
    """Make the rows of threads, and those of their messages."""
    summed, mail = [], []
    for thread in threads:
        messages = [GmailMessage.from_api(ACCOUNT, one, {}, max_bytes=MOST_BYTES) for one in thread["messages"]]
        mail += [message.row() for message in messages]
        summed.append(GmailThread.from_messages(ACCOUNT, thread, messages).row())
    return summed, mail


def main() -> None:
    asyncio.run(prepare())
    with database() as engine, told():
        threads, mail = rows_of(asyncio.run(fetch(os.environ["GMAIL_API_URL"], os.environ["GOOGLE_TOKEN_URL"])))
        store(engine, {GmailThread.table: threads, GmailMessage.table: mail})


if __name__ == "__main__":
    main()
