"""The yardstick for Gong: fetch calls and transcripts, copy them as they come, promise nothing else.

fetch   aiohttp, orjson; the list page after page, the transcripts of a page while the next one is on its way
store   one COPY a table, once all is fetched
"""

import asyncio
import os
from asyncio import TaskGroup
from base64 import b64encode
from typing import Any

import aiohttp
import orjson
import psycopg

from benchmarks.measure import told

TABLES = """
create table calls (call_id text primary key, raw jsonb not null);
create table transcripts (call_id text primary key, raw jsonb not null);
"""
EVERYTHING = {"exposedFields": {"parties": True, "content": {}, "interaction": {}, "collaboration": {}}}


async def fetch(base_url: str, authorization: str) -> tuple[list[Any], list[Any]]:
    """Fetch all calls of a wide range, and their transcripts."""
    calls: list[Any] = []
    transcripts: list[Any] = []
    async with aiohttp.ClientSession(headers={"Authorization": authorization}) as session:

        async def ask(path: str, body: Any) -> Any:
            async with session.post(base_url + path, json=body) as response:
                return orjson.loads(await response.read())

        async def spoken(ids: list[str]) -> None:
            answer = await ask("/v2/calls/transcript", {"filter": {"callIds": ids}})
            transcripts.extend(answer["callTranscripts"])

        async with TaskGroup() as group:
            chosen = {"fromDateTime": "2020-01-01T00:00:00Z", "toDateTime": "2100-01-01T00:00:00Z"}
            body: dict[str, Any] = {"filter": chosen, "contentSelector": EVERYTHING}
            while True:
                answer = await ask("/v2/calls/extensive", body)
                calls += answer["calls"]
                group.create_task(spoken([call["metaData"]["id"] for call in answer["calls"]]))
                cursor = answer["records"].get("cursor")
                if cursor is None:
                    break
                body = body | {"cursor": cursor}
    return calls, transcripts


def main() -> None:
    login = f"{os.environ['BENCH_GONG_KEY']}:{os.environ['BENCH_GONG_SECRET']}"
    authorization = f"Basic {b64encode(login.encode()).decode()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(TABLES)
        with told():
            calls, transcripts = asyncio.run(fetch(os.environ["GONG_API_URL"], authorization))
            with conn.transaction(), conn.cursor() as cursor:
                with cursor.copy("copy calls from stdin") as copy:
                    for call in calls:
                        copy.write_row((call["metaData"]["id"], orjson.dumps(call).decode()))
                with cursor.copy("copy transcripts from stdin") as copy:
                    for item in transcripts:
                        copy.write_row((item["callId"], orjson.dumps(item).decode()))


if __name__ == "__main__":
    main()
