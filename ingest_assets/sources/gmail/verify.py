"""Look at a mailbox anew, for `verify`: what a search finds in ranges of time, and stored threads by their ids."""

import random
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from math import ceil

from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailExtraction
from ingest_assets.sources.gmail.extract import NOT_MAIL, MailboxCursor
from ingest_assets.sources.gmail.history import history_id_of
from ingest_assets.sources.gmail.listing import Listing
from ingest_assets.sources.gmail.records import GmailThread
from ingest_assets.sources.gmail.threads import MAILBOX, Threads
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.record import ConversationRecord
from ingest_assets.sources.source import Look, Page, Store
from ingest_assets.sources.verifying import named, pieces, ranges

GROUP = 25  # threads of a look
BODIES = 2  # requests for a group's threads, and for bodies that Gmail keeps apart


@asynccontextmanager
async def verify(run: GmailExtraction, sample: int) -> AsyncGenerator[Sequence[Look]]:
    """Give the looks of one mailbox, whose client is open meanwhile."""
    position = run.cursors.get(MAILBOX)
    async with GmailClient.open(run) as client:
        looks: list[Look] = []
        if position is not None:
            cursor = MailboxCursor.model_validate(position)
            verifier, labels = _Verifier(run, client, cursor), len(run.settings.labels) or 1
            cost = labels + len(run.settings.exclude_labels) + BODIES
            stretches = pieces(cursor.covered_from, run.started_at, ranges(sample))
            for since, until in stretches if run.settings.newest_threads is None else ():
                if any(one.since < until and since < one.until for one in cursor.unread):
                    continue
                query = f"after:{ceil(since.timestamp())} before:{int(until.timestamp())} {NOT_MAIL}"
                looks.append(Look(named(since, until), cost, partial(verifier.found, query)))
            ids = [row.external_id for row in await run.existing(GmailThread).sample(["external_id"], sample)]
            for start in range(0, len(ids), GROUP):
                group = ids[start : start + GROUP]
                looks.append(Look(f"{len(group)} threads by id", BODIES, partial(verifier.by_id, group)))
        random.shuffle(looks)
        yield looks


def reread(stream: str, cursor: Json) -> Json | None:
    """Return the mailbox's cursor that has all of it to be listed again."""
    return cursor | {"selection": [*cursor["selection"], "again"]} if stream == MAILBOX else None


class _Verifier:
    def __init__(self, run: GmailExtraction, client: GmailClient, cursor: MailboxCursor) -> None:
        self.run, self.client, self.reached = run, client, int(cursor.history_id)

    async def found(self, query: str, store: Store) -> None:
        """Hand over threads that a search finds and that are not stored."""
        listing = Listing()
        await listing.read(self.client, query, self.run.settings)
        known = await self.run.existing(GmailThread).by_id(list(listing.threads), ["deleted_at"])
        missing = [one for one in listing.threads if one not in known or known[one].deleted_at is not None]
        await self.by_id(missing[:GROUP], store)

    async def by_id(self, ids: Sequence[str], store: Store) -> None:
        """Hand over threads with their mail, but for those that changed since the last sync."""

        async def compare(_threads: Collection[str], page: Page) -> None:
            records = [record for record in page.records if isinstance(record, ConversationRecord)]
            since = {one.external_id for one in records if isinstance(one, GmailThread) and self._since(one)}
            settled = [record for record in records if record.conversation_id not in since]
            await store(replace(page, records=settled, also_gone={}))

        await Threads(self.run, self.client).read(ids, ids, compare)

    def _since(self, thread: GmailThread) -> bool:
        changed = history_id_of(thread.history_id)
        return changed is None or int(changed) > self.reached
