"""What reading Fathom further costs: it gives no count, so the first pages of some stretches of time tell."""

from contextlib import aclosing
from math import ceil

from ingest_assets.sources.fathom.client import HEAVY_PER_MINUTE, PER_MINUTE, FathomClient
from ingest_assets.sources.fathom.connect import FathomExtraction
from ingest_assets.sources.fathom.extract import PAGES_A_WINDOW, Sessions
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.planning import Amount, Estimate, Look, looks, mean, minutes, pages, total
from ingest_assets.sources.source import Page
from ingest_assets.sources.time_window_plan import Window
from ingest_assets.sources.time_windows import ROOM
from ingest_assets.sources.values import dump_json

LOOKS = 24  # at stretches of time, or as many as there are windows
SIZE = 10  # sessions of a page, where none is full


async def plan(run: FathomExtraction) -> Estimate:
    """Look at the first pages of stretches of what the next syncs read; it takes about LOOKS requests."""
    async with FathomClient.open(run) as client:
        reader = Sessions(run, client, _nothing)

        async def first_page(window: Window) -> Look:
            items, more = await client.newest(window.since, window.until)
            moments = [moment for item in items if (moment := reader.listed_at(item)) is not None]
            return Look(window, items, more, min(moments, default=None))

        windows = reader.unread
        found = [await looks(first_page, window, max(2, ceil(LOOKS / len(windows)))) for window in windows]
        size = max([len(look.items) for window in found for look in window if look.more], default=SIZE)
        sessions = [total(window) for window in found]
        asked = [_asked(pages(count, size)) for count in sessions]
        calls = {"meetings.list": sum((both for both, _heavy in asked), Amount())}
        heavy = sum(one.likely for _both, one in asked)
        held = [len(await reader.existing.ids_between(reader.moment, one.since, one.until)) for one in windows]
        items = sum((one.less(count) for one, count in zip(sessions, held, strict=True)), Amount())
        if not client.inline:
            calls |= {f"recordings.{part}": items for part in ("transcript", "summary")}
            heavy = 2 * items.likely
        payloads = await _sample(client, found) if items.likely else []
    return Estimate(
        items=items,
        calls=calls,
        each_sync={"meetings.list": 1},
        minutes=minutes(
            (sum(one.likely for one in calls.values()), PER_MINUTE),
            (heavy, HEAVY_PER_MINUTE),
        ),
        item_bytes=mean([len(dump_json(one)) for one in payloads]),
        samples=payloads,
    )


def _asked(held: Amount) -> tuple[Amount, Amount]:
    """Return how many requests a window of so many pages takes, and how many of them are heavy.

    Each page but the last is looked at again, without transcripts. A window that has too many is cut once it has
    shown that.
    """
    count = held.likely
    pieces = 1 if count <= PAGES_A_WINDOW else ceil(ROOM * count / PAGES_A_WINDOW)
    waste = 0 if pieces == 1 else 1
    heavy = count + waste * (PAGES_A_WINDOW + 1)
    light = max(0, count - pieces) + waste * PAGES_A_WINDOW
    return Amount(heavy + light, 4 * held.variance), Amount(heavy, held.variance)


async def _sample(client: FathomClient, found: list[list[Look]]) -> list[Json]:
    """Fetch a page of what is newest of the window that has most, with transcripts where the list brings them."""
    most = max(found, key=lambda window: total(window).likely)
    since, until = min(look.window.since for look in most), max(look.window.until for look in most)
    async with aclosing(client.meetings(since, until)) as answers:
        async for meetings in answers:
            return [meeting for meeting in meetings if isinstance(meeting, dict)]
    return []


async def _nothing(_page: Page) -> None:
    """Store nothing."""
