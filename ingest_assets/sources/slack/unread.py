"""Read what of channels was never read: history that is wanted since, and what a sync that was cut has left.

It comes after what is new in all channels. Its cursors commit with its pages, so that the next sync goes on there.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ingest_assets.sources.slack.channel import ChannelReader
from ingest_assets.sources.slack.plan import Plan, Step
from ingest_assets.sources.slack.records import ts_of
from ingest_assets.sources.slack.stretches import Range


async def read_unread(reader: ChannelReader, channel_id: str) -> None:
    """Read it of one channel; where a sync is to read what is older first, the rest is left."""
    reading = reader.unread.pop(channel_id)
    before = reading.plan.cursor
    now, later = told_apart(reading.plan.left, reader.run.history_until)
    if now:
        cursor = before.model_copy(update={"unread": [*now, *later]})
        plan = Plan(cursor, [Step(part, part.oldest) for part in now], stored=True, left=tuple(later))
        follow = reader.follow(replace(reading, plan=plan), before, archived=before.archived)
        await reader.guarded(channel_id, reading.label, follow)
        reader.unread.pop(channel_id, None)


def told_apart(parts: Iterable[Range], until: datetime | None) -> tuple[list[Range], list[Range]]:
    """Return the parts that lie before a moment, and those that lie after it; one that holds it is cut there."""
    parts = list(parts)
    if until is None:
        return parts, []
    cut = ts_of(until)
    before = [part.model_copy(update={"latest": min(part.latest, cut)}) for part in parts if part.oldest < cut]
    after = [part.model_copy(update={"oldest": max(part.oldest, cut)}) for part in parts if part.latest > cut]
    return before, after
