"""What reading Gong further costs: Gong counts the calls of a range, and a sample tells how long they are."""

from contextlib import aclosing
from math import ceil

from ingest_assets.sources.gong.client import IDS_A_REQUEST, PER_SECOND, CallsPage, GongClient
from ingest_assets.sources.gong.connect import GongExtraction
from ingest_assets.sources.gong.extract import DIRECTORY, Calls, DirectoryCursor, pieces_of
from ingest_assets.sources.planning import Amount, Estimate, mean, minutes
from ingest_assets.sources.source import Page
from ingest_assets.sources.time_window_plan import Window
from ingest_assets.sources.values import dump_json

SAMPLE = 20  # calls whose transcripts are fetched


async def plan(run: GongExtraction) -> Estimate:
    """Count what the next syncs read, by a request for each window."""
    async with GongClient.open(run, affordable_at=run.affordable_at) as client:
        reader = Calls(run, client, _nothing)
        lists = transcripts = items = 0.0
        largest: CallsPage | None = None
        for window in reader.unread:
            page = await _first(client, window)
            size = len(page.calls) if page.total > len(page.calls) else IDS_A_REQUEST
            held = len(await reader.existing.ids_between(reader.moment, window.since, window.until))
            new = page.total if window.deep else max(0, page.total - held)
            cut = pieces_of(page.total)
            partial = (cut - 1) / 2  # pages that the ends of pieces leave half full
            lists += max(1, ceil(page.total / size)) + partial + (cut > 1)
            transcripts += ceil(new / size) + (partial if new else 0)
            items += max(0, page.total - held)
            largest = page if largest is None or len(page.calls) > len(largest.calls) else largest
        calls = {"calls.extensive": lists, "calls.transcript": transcripts}
        if name := DirectoryCursor.model_validate(run.cursors.get(DIRECTORY, {})).due(run.started_at, run.parts):
            calls[f"{name}.list"] = 1
        payloads = []
        if largest is not None and items:
            made = await reader.page(largest.calls[:SAMPLE], deep=True)
            payloads = [record.raw for record in made.records]
    return Estimate(
        items=Amount(items),
        calls={method: Amount(count) for method, count in calls.items()},
        each_sync={"calls.extensive": 1},
        minutes=minutes((sum(calls.values()), 60 * PER_SECOND)),
        item_bytes=mean([len(dump_json(one)) for one in payloads]),
        notes=_days(run, sum(calls.values())),
        samples=payloads,
    )


def _days(run: GongExtraction, calls: float) -> list[str]:
    share = run.options.backfill_share * run.options.calls_per_day
    left = share - sum(count for _began, count in run.calls_today)
    if calls <= left:
        return []
    days = 1 + ceil((calls - max(left, 0)) / share)
    return [f"history has {share:.0f} of the day's {run.options.calls_per_day} requests: about {days} days"]


async def _first(client: GongClient, window: Window) -> CallsPage:
    async with aclosing(client.calls(window.since, window.until)) as pages:
        async for page in pages:
            return CallsPage(page.calls, max(page.total, len(page.calls)))
    return CallsPage([], 0)


async def _nothing(_page: Page) -> None:
    """Store nothing."""
