"""The yardstick for Fathom: fetch sessions with everything inline, copy them as they come, promise nothing else.

fetch   aiohttp, orjson; page after page, since each page's cursor stands on the one before
store   one COPY, once all is fetched
"""

import asyncio
import os
from typing import Any

import aiohttp
import orjson
import psycopg

from benchmarks.measure import told

TABLES = "create table sessions (recording_id text primary key, raw jsonb not null)"
EVERYTHING = {
    "include_transcript": "true",
    "include_summary": "true",
    "include_action_items": "true",
    "include_crm_matches": "true",
}


async def fetch(base_url: str, key: str) -> list[Any]:
    """Fetch all sessions."""
    sessions: list[Any] = []
    params = dict(EVERYTHING)
    async with aiohttp.ClientSession(headers={"X-Api-Key": key}) as session:
        while True:
            async with session.get(f"{base_url}/meetings", params=params) as response:
                answer = orjson.loads(await response.read())
            sessions += answer["items"]
            if answer["next_cursor"] is None:
                return sessions
            params["cursor"] = answer["next_cursor"]


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(TABLES)
        with told():
            sessions = asyncio.run(fetch(os.environ["FATHOM_API_URL"], os.environ["BENCH_FATHOM_KEY"]))
            with conn.transaction(), conn.cursor() as cursor, cursor.copy("copy sessions from stdin") as copy:
                for item in sessions:
                    copy.write_row((str(item["recording_id"]), orjson.dumps(item).decode()))


if __name__ == "__main__":
    main()
