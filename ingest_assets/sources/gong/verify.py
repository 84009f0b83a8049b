"""Look at Gong anew, for `verify`: the first pages of ranges, and stored calls by their ids."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from ingest_assets.sources.gong.client import IDS_A_REQUEST, GongClient
from ingest_assets.sources.gong.connect import GongExtraction
from ingest_assets.sources.gong.extract import Calls
from ingest_assets.sources.source import Look, Store
from ingest_assets.sources.time_window_plan import Window, WindowsCursor
from ingest_assets.sources.verifying import named, pieces, ranges
from ingest_assets.storage.schema import StoredRow

SHARE = 0.8  # of the day's requests: once so many are spent, the rest is for syncs
PAGES = 2  # of a range, each with a request for transcripts of what is not held


@asynccontextmanager
async def verify(run: GongExtraction, sample: int) -> AsyncGenerator[Sequence[Look]]:
    """Give the looks of one account, whose client is open meanwhile."""
    async with GongClient.open(run, affordable_at=lambda daily: run.affordable_at(SHARE * daily)) as client:
        looks: list[Look] = []
        position = run.cursors.get(Calls.stream)
        if position is not None and run.settings.newest_calls is None:
            cursor = WindowsCursor.model_validate(position)
            settled = cursor.covered_to - Calls.look_back  # what is younger may have been listed since
            for since, until in pieces(cursor.covered_from, settled, ranges(sample)):
                if not any(one.since < until and since < one.until for one in cursor.unread):
                    read = partial(_range, run, client, Window(since=since, until=until))
                    looks.append(Look(named(since, until), 2 * PAGES, read))
        rows = await run.existing(Calls.record).sample(["external_id", "occurred_at"], sample)
        for start in range(0, len(rows), IDS_A_REQUEST):
            group = rows[start : start + IDS_A_REQUEST]
            looks.append(Look(f"{len(group)} calls by id", 2, partial(_by_id, run, client, group)))
        random.shuffle(looks)
        yield looks


async def _range(run: GongExtraction, client: GongClient, window: Window, store: Store) -> None:
    """Hand over those calls of a range's first pages that are not held as they are."""
    left, calls = PAGES, Calls(run, client, store)
    async with aclosing(client.calls(window.since, window.until)) as pages:
        async for page in pages:
            await store(await calls.page(page.calls, deep=False))
            left -= 1
            if not left:
                break


async def _by_id(run: GongExtraction, client: GongClient, rows: Sequence[StoredRow], store: Store) -> None:
    """Hand over calls with their transcripts, and those that Gong does not show."""
    calls = Calls(run, client, store)
    shown = await client.calls_by_id([row.external_id for row in rows], 1)
    page = await calls.page(shown, deep=True)
    gone = [row.external_id for row in rows if row.external_id not in calls.listed]
    await store(page)
    await store(type(page)(gone=gone))
