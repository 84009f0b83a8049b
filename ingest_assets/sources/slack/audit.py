"""Look again at what is older than the watch window: replies, edits and deletions of any age.

A parent tells of new replies, so that reading the history again finds these; an edited reply shows in its thread
alone. What was looked at longest ago comes first, a little with each sync, so that all of it has its turn within
SLACK_AUDIT_DAYS (threads: SLACK_AUDIT_THREADS_DAYS). When each stretch was looked at commits with what was found.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from ingest_assets.errors import SourceError
from ingest_assets.sources.parts import MANY
from ingest_assets.sources.slack.audited import AuditedMessages, AuditedThreads, Track
from ingest_assets.sources.slack.channel import ChannelPages, ChannelReader
from ingest_assets.sources.slack.methods import LIMITED, TIER_3
from ingest_assets.sources.slack.pace import Allowance, AuditPace, Pace, allowance
from ingest_assets.sources.slack.plan import Plan
from ingest_assets.sources.slack.stretches import Range, longest_ago, marked, most_due
from ingest_assets.sources.slack.threads import Reading, is_long_pause
from ingest_assets.sources.source import Page, Store

RECOUNTED = timedelta(days=1)
LONGEST = timedelta(minutes=3)  # of one sync; the rest has its turn in the next ones


class Audit:
    """Goes on with the audit of those channels of an account that were just read to their end."""

    def __init__(self, reader: ChannelReader, store: Store) -> None:
        self.reader, self.run, self._store = reader, reader.run, store
        self._until = self.run.clock.now() + LONGEST

    async def go_on(self, pace: AuditPace) -> AuditPace:
        """Spend this sync's share of requests, and return the pace after it."""
        options = self.run.options
        tracks = [
            AuditedMessages(self.reader, options.audit_days),
            AuditedThreads(self.reader, options.audit_threads_days),
        ]
        recount = not pace.counted_at or not timedelta(0) <= self.run.started_at - pace.counted_at < RECOUNTED
        after: dict[str, object] = {"counted_at": self.run.started_at if recount else pace.counted_at}
        if recount:
            await self._store(Page())  # so that what was read before is stored, and counted
        for track in tracks:
            one: Pace = getattr(pace, track.name)
            if track.days and self.reader.finished:
                one = one.model_copy(update={"total": await track.total()}) if recount else one
                after[track.name] = await self._spend(track, one)
        return pace.model_copy(update=after)

    async def _spend(self, track: Track, pace: Pace) -> Pace:
        """Look at what was looked at longest ago, channel by channel, for as many requests as are due."""
        known = {key: longest_ago(track.stretches(cursor)) for key, (_, cursor) in self.reader.finished.items()}
        waiting = {key: ago for key, ago in known.items() if ago and self.run.parts.due(_part(track, key))}
        started = self.run.started_at
        allowed = allowance(
            pace,
            started,
            days=track.days,
            per_minute=LIMITED[track.method] if self.reader.client.limited else TIER_3,
        )
        before, refused = self.run.calls[track.method], 0
        while waiting and refused < MANY and self.run.clock.now() < self._until:
            channel_id = min(waiting, key=lambda key: waiting[key])
            late = waiting[channel_id] < started - timedelta(days=allowed.days)
            most = (allowed.most if late else allowed.steady) - (self.run.calls[track.method] - before)
            if most <= 0 or waiting[channel_id] >= started:
                break
            if self.run.calls[track.method] == before:
                await self._store(Page())  # so that what was read before is stored, to be compared with
            ago = await self._channel(track, channel_id, most, allowed)
            if ago is None:
                refused += 1
                del waiting[channel_id]
            else:
                waiting[channel_id] = ago
        return allowed.after(pace, self.run.calls[track.method] - before)

    async def _channel(self, track: Track, channel_id: str, most: int, allowed: Allowance) -> datetime | None:
        """Look at some of a channel; return since when all of it was looked at, or None if it was refused."""
        label, cursor = self.reader.finished[channel_id]
        stretches, period = track.stretches(cursor), timedelta(days=track.days)
        within = most_due(stretches, self.run.started_at, period)
        pages = ChannelPages(self._store, channel_id, label, cursor)
        part = _part(track, channel_id)
        reading = Reading(channel_id, label, Plan(cursor, [], stored=True), audited=True)
        try:
            seen = await track.look(reading, within, most, pages)
        except SourceError as error:
            await pages.flush()
            if not is_long_pause(error):
                refused = await self.run.parts.failed(part, f"{track.title} of {label}", error)
                await self._store(Page(unreadable=[refused], stream=channel_id, label=label))
            else:
                self._until = self.run.clock.now()
            return None
        stretches = marked(stretches, Range(oldest=seen, latest=within.latest), self.run.started_at)
        audited = cursor.audited.model_copy(update={track.name: stretches, f"{track.name}_days": allowed.days})
        cursor = cursor.model_copy(update={"audited": audited})
        await self._store(replace(pages.last(self.run.parts.succeeded(part)), cursor=cursor))
        self.reader.finished[channel_id] = label, cursor
        return longest_ago(stretches)


def _part(track: Track, channel_id: str) -> str:
    return f"audit:{track.name}:{channel_id}"
