"""What reading a mailbox further costs: its threads are listed, as Gmail estimates badly, and some are fetched."""

import random
from contextlib import aclosing
from datetime import datetime
from math import ceil

from ingest_assets.sources.gmail.body import kept_apart
from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailExtraction
from ingest_assets.sources.gmail.extract import MailboxCursor, newest_from, query_of, reaching
from ingest_assets.sources.gmail.listing import Listing
from ingest_assets.sources.gmail.methods import ATTACHMENT, HISTORY, LABELS, PROFILE, THREAD, THREADS
from ingest_assets.sources.gmail.records import GmailThread
from ingest_assets.sources.gmail.threads import MAILBOX
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.planning import Amount, Estimate, mean, minutes
from ingest_assets.sources.time_window_plan import windows
from ingest_assets.sources.values import dump_json

BATCHES = "batch"
SAMPLE = 20  # threads that are fetched
LISTINGS = 100  # requests at most; for the windows that are left the others' average is taken

Span = tuple[datetime, datetime | None]


async def plan(run: GmailExtraction) -> Estimate:
    """List what the next syncs read, and fetch some of it."""
    async with GmailClient.open(run) as client:
        return await _Planner(run, client).estimate()


class _Planner:
    def __init__(self, run: GmailExtraction, client: GmailClient) -> None:
        self.run, self.client, self.existing = run, client, run.existing(GmailThread)
        self.counts: list[int] = []
        """Of the windows that were listed, how many threads are to be read."""
        self.ids: list[str] = []

    async def estimate(self) -> Estimate:
        position = self.run.cursors.get(MAILBOX)
        cursor = None if position is None else MailboxCursor.model_validate(position)
        spans, calls = self._spans(cursor), self.run.calls
        before = calls[THREADS]
        for span in spans:
            if self.counts and calls[THREADS] - before >= LISTINGS:
                break
            await self._list(span)
        listed = calls[THREADS] - before
        share = len(spans) / max(1, len(self.counts))
        size = self.run.options.batch_size
        batches = sum(ceil(count / size) for count in self.counts) * share
        threads = Amount(sum(self.counts)).times(share)
        if len(self.counts) < len(spans):
            threads += Amount(0, (mean(self.counts) * (len(spans) - len(self.counts))) ** 2 / 4)
        samples = await self._sample()
        apart = mean([bool(_apart(thread)) for thread in samples])
        bodies = mean([_apart(thread) for thread in samples]) * threads.likely
        more = batches * (1 - (1 - apart) ** size)
        methods = self._others(cursor) | {THREADS: listed * share, BATCHES: batches + more}
        costs = self.run.options.costs
        units = threads.likely * costs[THREAD] + bodies * costs[ATTACHMENT] + methods[THREADS] * costs[THREADS]
        return Estimate(
            items=threads,
            calls={
                method: Amount(count, threads.variance / size**2 if method == BATCHES else 0)
                for method, count in methods.items()
            },
            each_sync={HISTORY: 1, THREADS: 1},
            minutes=minutes((units, self.run.options.units_per_minute)),
            item_bytes=mean([len(dump_json(thread)) for thread in samples]),
            notes=[f"{len(self.counts)} of {len(spans)} windows were listed"] if share > 1 else [],
        )

    def _spans(self, cursor: MailboxCursor | None) -> list[Span]:
        """Return the windows that the next syncs list."""
        now, since = self.run.started_at, self.run.started_at - self.run.history
        if cursor is not None:
            return [(one.since, one.until) for one in reaching(cursor, since).unread]
        newest = since if self.run.settings.newest_threads is not None else newest_from(since, now)
        return [(newest, None), *((one.since, one.until) for one in windows(since, newest))]

    def _others(self, cursor: MailboxCursor | None) -> dict[str, float]:
        first = {PROFILE: 1.0} | ({LABELS: 1.0} if self.run.settings.labels else {})
        return {HISTORY: 1.0} if cursor is not None else first

    async def _list(self, span: Span) -> None:
        listing = Listing()
        await listing.read(self.client, query_of(*span), self.run.settings)
        held = await self.existing.by_id(list(listing.threads), ["history_id"])
        new = [one for one, at in listing.threads.items() if one not in held or held[one].history_id != at]
        self.counts.append(len(new))
        self.ids += new

    async def _sample(self) -> list[Json]:
        chosen = random.Random(0).sample(self.ids, min(SAMPLE, len(self.ids)))  # noqa: S311  (a sample)
        found: list[Json] = []
        if chosen:
            async with aclosing(self.client.threads(chosen)) as batches:
                async for threads in batches:
                    found += [thread for thread in threads.values() if isinstance(thread, dict)]
        return found


def _apart(thread: Json) -> int:
    """Return how many bodies of a thread Gmail keeps apart."""
    messages = [message for message in thread.get("messages") or () if isinstance(message, dict)]
    return sum(len(list(kept_apart(message.get("payload") or {}))) for message in messages)
