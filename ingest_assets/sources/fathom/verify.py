"""Look at Fathom anew, for `verify`: the first pages of ranges, and the moments of stored sessions."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from ingest_assets.sources.fathom.client import FathomClient
from ingest_assets.sources.fathom.connect import FathomExtraction
from ingest_assets.sources.fathom.extract import INSTANT, Sessions
from ingest_assets.sources.source import Look, Page, Store
from ingest_assets.sources.time_window_plan import Window, WindowsCursor
from ingest_assets.sources.verifying import named, pieces, ranges

PAGES = 2  # of a range; each but the last is asked for twice, as its numbers shift
APART = 2  # requests for a session's transcript and summary, which the list does not bring to an OAuth app
LISTED = 10  # sessions of a page


@asynccontextmanager
async def verify(run: FathomExtraction, sample: int) -> AsyncGenerator[Sequence[Look]]:
    """Give the looks of one account, whose client is open meanwhile."""
    async with FathomClient.open(run) as client:
        each = 1 if client.inline else 1 + APART
        looks: list[Look] = []
        position = run.cursors.get(Sessions.stream)
        if position is not None and run.settings.newest_sessions is None:
            cursor = WindowsCursor.model_validate(position)
            settled = cursor.covered_to - Sessions.look_back
            for since, until in pieces(cursor.covered_from, settled, ranges(sample)):
                if not any(one.since < until and since < one.until for one in cursor.unread):
                    cost = 2 * PAGES if client.inline else PAGES * (2 + LISTED * APART)
                    read = partial(_range, run, client, Window(since=since, until=until), None)
                    looks.append(Look(named(since, until), cost, read))
        for row in await run.existing(Sessions.record).sample(["external_id", "created_at"], ranges(sample)):
            window = Window(since=row.created_at - INSTANT, until=row.created_at + INSTANT)
            read = partial(_range, run, client, window, row.external_id)
            looks.append(Look(f"session {row.external_id}", each, read))
        random.shuffle(looks)
        yield looks


async def _range(
    run: FathomExtraction, client: FathomClient, window: Window, known: str | None, store: Store
) -> None:
    """Hand over the sessions of a range's first pages, and a stored one that should be there, if it is not."""
    left, sessions = PAGES, Sessions(run, client, store)
    async with aclosing(client.meetings(window.since, window.until)) as pages:
        async for meetings in pages:
            await store(await sessions.page(meetings, deep=client.inline or known is not None))
            left -= 1
            if not left:
                break
    if known is not None and known not in sessions.listed:
        await store(Page(gone=[known]))
