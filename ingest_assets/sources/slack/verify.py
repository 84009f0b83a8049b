"""Look at Slack anew, for `verify`: ranges of channels, pages that end with a stored message, and threads."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from math import ceil
from types import SimpleNamespace
from typing import Any

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor
from ingest_assets.sources.slack.plan import ChannelCursor
from ingest_assets.sources.slack.records import SlackMessage, at, ts_of
from ingest_assets.sources.slack.spoken import ts_of_message
from ingest_assets.sources.slack.stretches import Range
from ingest_assets.sources.slack.threads import LEDGER
from ingest_assets.sources.source import Look, Store
from ingest_assets.sources.verifying import FEWEST, named, pieces, ranges
from ingest_assets.storage.engine import reading

PAGES = 2  # of a range or a thread


@asynccontextmanager
async def verify(run: SlackExtraction, sample: int) -> AsyncGenerator[Sequence[Look]]:
    """Give the looks of one account, whose client is open meanwhile."""
    limited = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {})).limited
    async with SlackClient.open(run, limited=limited or None) as client:
        yield await _Verifier(run, client).looks(sample)


def reread(stream: str, cursor: Json) -> Json | None:
    """Return a stream's cursor that has all of it to be read again; None for one that covers nothing."""
    if stream == ACCOUNT:
        return None
    held = ChannelCursor.model_validate(cursor)
    again = {"unread": [Range(oldest=held.covered_from, latest=held.covered_to)], "archived": False}
    return held.model_copy(update=again).model_dump(mode="json")


class _Verifier:
    def __init__(self, run: SlackExtraction, client: SlackClient) -> None:
        self.run, self.client, self.existing = run, client, run.existing(SlackMessage)
        with reading(run.engine) as conn:
            whose: list[Any] = [SimpleNamespace(account_id=run.account.account_id)]
            self.names = SlackMessage.beside(conn, whose)[run.account.account_id]
        self.channels = {
            stream: ChannelCursor.model_validate(cursor)
            for stream, cursor in run.cursors.items()
            if stream != ACCOUNT and not run.parts.known(stream)
        }

    async def looks(self, sample: int) -> list[Look]:
        wanted = FEWEST if self.client.limited else ranges(sample)
        count = max(FEWEST, ceil(wanted / max(1, len(self.channels))))
        stretches = [
            (channel_id, piece)
            for channel_id, cursor in self.channels.items()
            for piece in pieces(at(cursor.covered_from), at(cursor.covered_to), count)
            if not any(at(one.oldest) < piece[1] and piece[0] < at(one.latest) for one in cursor.unread)
        ]
        random.shuffle(stretches)
        looks = [
            Look(
                f"{channel_id} {named(since, until)}",
                PAGES,
                partial(self._range, channel_id, ts_of(since), ts_of(until), PAGES),
            )
            for channel_id, (since, until) in stretches[:wanted]
        ]
        columns = ["channel_id", "ts", "external_id"]
        for row in await self.existing.sample(columns, max(1, wanted // 2), in_channel=True):
            if row.channel_id in self.channels:
                since = self.channels[row.channel_id].covered_from
                read = partial(self._range, row.channel_id, since, row.ts, 1, known=row.external_id)
                looks.append(Look(f"up to {row.external_id}", 1, read))
        parents = await self.existing.sample(columns, max(1, wanted // 2), having="reply_count")
        return looks + [
            Look(f"thread {row.external_id}", PAGES, partial(self._thread, row.channel_id, row.ts))
            for row in parents
            if row.channel_id in self.channels
        ]

    async def _range(
        self, channel_id: str, oldest: str, latest: str, pages: int, store: Store, *, known: str | None = None
    ) -> None:
        """Hand over the newest messages of a range, and a stored one that should be among them, if it is not."""
        seen: set[str] = set()
        answers = self.client.history(channel_id, oldest=oldest, latest=latest)
        left = pages
        async for messages in answers:
            rows = await self._rows(channel_id, messages, in_channel=True)
            seen |= {record.external_id for record in rows.records} | {item.key for item in rows.rejected}
            await store(rows.page())
            left -= 1
            if not left:
                break
        await answers.aclose()
        if known is not None and known not in seen:
            await store(Rows(gone=[known]).page())

    async def _thread(self, channel_id: str, thread_ts: str, store: Store) -> None:
        answers, left = self.client.replies(channel_id, thread_ts), PAGES
        async for messages in answers:
            await store((await self._rows(channel_id, messages, in_channel=False)).page())
            left -= 1
            if not left:
                break
        await answers.aclose()

    async def _rows(self, channel_id: str, messages: Sequence[Any], *, in_channel: bool) -> Rows:
        """Make the rows of a page, with the ledgers that are stored, but for what is newer than the last sync."""
        rows, until = Rows(), self.channels[channel_id].covered_to
        here = {ts: message for message in messages if (ts := ts_of_message(message)) and ts <= until}
        ids = [SlackMessage.id_of(channel_id, ts) for ts in here]
        ledgers = await self.existing.by_id(ids, LEDGER)
        for external_id, message in zip(ids, here.values(), strict=True):
            parse = partial(
                SlackMessage.from_api, self.run.account, channel_id, names=self.names, in_channel=in_channel
            )
            record = rows.parsed(SlackMessage, message, parse, external_id=external_id)
            if record is not None:
                rows.records.append(record.as_of(ledgers.get(external_id)))
        return rows
