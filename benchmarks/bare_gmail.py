"""The yardstick for Gmail: list threads, fetch them in batches, copy them as they come, promise nothing else.

fetch   aiohttp, orjson; one request for a token, the list page after page, 50 threads a batch, 3 batches at
        once: Gmail refuses many requests at once for one user, whoever makes them
store   one COPY a table, once all is fetched: threads, and messages with their bodies as text, whole and what is
        new in them; HTML and quotations are read by the same code as ours
"""

import asyncio
import os
from asyncio import Semaphore, TaskGroup
from base64 import urlsafe_b64decode
from typing import Any

import aiohttp
import orjson
import psycopg

from benchmarks.measure import told
from ingest_assets.sources.gmail.html import text_of_html
from ingest_assets.sources.gmail.new_text import new_text_of

TABLES = """
create table threads (thread_id text primary key, raw jsonb not null);
create table messages (
    message_id text primary key, thread_id text not null, text text, new_text text, raw jsonb not null
);
"""
BATCH, AT_ONCE = 50, 3
BOUNDARY = "====="


def batch_body(ids: list[str]) -> bytes:
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <{thread_id}>\r\n\r\n"
        f"GET /gmail/v1/users/me/threads/{thread_id}?format=full HTTP/1.1\r\n\r\n\r\n"
        for thread_id in ids
    ]
    return ("".join(parts) + f"--{BOUNDARY}--").encode()


def batch_answers(body: bytes, content_type: str) -> list[Any]:
    """Parse every part's JSON, which follows two empty lines."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    parts = body.split(b"--" + boundary)[1:-1]
    return [orjson.loads(part.split(b"\r\n\r\n", 2)[2]) for part in parts]


def text_of(part: dict[str, Any]) -> str | None:
    """Decode the first body there is; the plain one comes first."""
    if "parts" in part:
        return next((text for inner in part["parts"] if (text := text_of(inner)) is not None), None)
    if "data" not in part["body"]:
        return None
    data = part["body"].pop("data")
    text = urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode(errors="replace")
    return text if part["mimeType"] == "text/plain" else text_of_html(text).text


async def fetch(api_url: str, token_url: str) -> list[Any]:
    """Fetch all threads of the mailbox."""
    threads: list[Any] = []
    free = Semaphore(AT_ONCE)
    async with aiohttp.ClientSession() as session:
        form = {
            "grant_type": "refresh_token",
            "client_id": "client",
            "client_secret": os.environ["BENCH_GMAIL_SECRET"],
            "refresh_token": os.environ["BENCH_GMAIL_REFRESH"],
        }
        async with session.post(token_url, data=form) as response:
            token = orjson.loads(await response.read())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}

        async def get(ids: list[str]) -> None:
            kind = {"Content-Type": f'multipart/mixed; boundary="{BOUNDARY}"'}
            url = f"{api_url}batch/gmail/v1"
            async with free, session.post(url, data=batch_body(ids), headers=headers | kind) as response:
                threads.extend(batch_answers(await response.read(), response.headers["content-type"]))

        async with TaskGroup() as group:
            params = {"maxResults": "500"}
            while True:
                url = f"{api_url}gmail/v1/users/me/threads"
                async with session.get(url, params=params, headers=headers) as response:
                    answer = orjson.loads(await response.read())
                ids = [thread["id"] for thread in answer["threads"]]
                for start in range(0, len(ids), BATCH):
                    group.create_task(get(ids[start : start + BATCH]))
                if "nextPageToken" not in answer:
                    break
                params["pageToken"] = answer["nextPageToken"]
    return threads


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(TABLES)
        with told():
            threads = asyncio.run(fetch(os.environ["GMAIL_API_URL"], os.environ["GOOGLE_TOKEN_URL"]))
            with conn.transaction(), conn.cursor() as cursor:
                with cursor.copy("copy messages from stdin") as copy:
                    for thread in threads:
                        for message in thread.pop("messages"):
                            text = text_of(message["payload"])
                            new_text = None if text is None else new_text_of(text)
                            raw = orjson.dumps(message).decode()
                            copy.write_row((message["id"], thread["id"], text, new_text, raw))
                with cursor.copy("copy threads from stdin") as copy:
                    for thread in threads:
                        copy.write_row((thread["id"], orjson.dumps(thread).decode()))


if __name__ == "__main__":
    main()
