"""What reading Slack further costs: it gives no count, so the first page of each of some channels tells.

A thread costs requests of its own: how many, its parent's count of replies tells.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from ingest_assets.errors import PartUnreadable
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.planning import Amount, Estimate, Look, looks, mean, minutes, over, pages, total
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor
from ingest_assets.sources.slack.methods import LIMITED, LIMITED_OBJECTS, PAGE, TIER_3
from ingest_assets.sources.slack.plan import WHOLE_WINDOW_PAGES, ChannelCursor, reaching
from ingest_assets.sources.slack.records import SlackMessage, at, ts_of
from ingest_assets.sources.slack.spoken import ts_of_message
from ingest_assets.sources.time_window_plan import Window
from ingest_assets.sources.values import dump_json

CHANNELS, LIMITED_CHANNELS = 100, 3  # that are looked at: what Slack grants in two or three minutes
PIECES = 4  # of a channel that has more than a page
FEW_PAGES = 30  # an account with no more unread pages is counted, not sampled
MOST_REPLIES = 1_000_000  # a larger number is no count
SHOWN = 200  # messages whose size is measured


async def plan(run: SlackExtraction) -> Estimate:
    """Look at the first pages of what the next syncs read of some channels."""
    known = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {}))
    async with SlackClient.open(run, limited=known.limited or None) as client:
        return await _Planner(run, client).estimate()


class _Planner:
    def __init__(self, run: SlackExtraction, client: SlackClient) -> None:
        self.run, self.client = run, client
        self.existing = run.existing(SlackMessage)
        self.messages: list[Any] = []
        self.size = LIMITED_OBJECTS if client.limited else PAGE
        self.whole = 0
        """Pages of a range of a channel that are looked at one by one."""

    async def estimate(self) -> Estimate:
        selected = await self._selected()
        listing = self.run.calls["users.conversations"]
        due = AccountCursor.model_validate(self.run.cursors.get(ACCOUNT, {})).users_read_at is None
        unread = [(channel, part) for channel in selected for part in self._unread(channel)]
        most = LIMITED_CHANNELS if self.client.limited else CHANNELS
        self.whole = 0 if self.client.limited else FEW_PAGES // max(1, len(unread))
        chosen = random.Random(0).sample(unread, min(most, len(unread)))  # noqa: S311  (a sample)
        found = [one for channel, window in chosen for one in [await self._looked(channel, window)] if one]
        live = [await self._live(channel) for channel in selected]  # now it is known how long Slack's pages are
        history = _scaled([self._history(looked) for looked in found], len(unread))
        replies = _scaled([self._replies(looked) for looked in found], len(unread))
        return Estimate(
            items=_scaled([_messages(looked) for looked in found], len(unread)),
            calls={
                "users.conversations": Amount(listing),
                **({"users.list": Amount(1)} if due else {}),
                "conversations.history": history + Amount(sum(live)),
                "conversations.replies": replies,
            },
            each_sync={"users.conversations": listing, "conversations.history": sum(map(self._again, live))},
            minutes=minutes(
                (history.likely + sum(live), self._granted("conversations.history")),
                (replies.likely, self._granted("conversations.replies")),
            ),
            item_bytes=mean([len(dump_json(message)) for message in self.messages[:SHOWN]]),
            notes=_notes(len(chosen), len(unread)),
        )

    async def _selected(self) -> list[Json]:
        """Return the channels that a sync reads; those that it would join first are left out."""
        types = "public_channel" if self.run.settings.public_only else "public_channel,private_channel"
        listed = [
            one async for page in self.client.joined_channels(types) for one in page if isinstance(one, dict)
        ]
        chosen = {wanted.removeprefix("#") for wanted in self.run.settings.channels}
        return [one for one in listed if "id" in one and (not chosen or chosen & {one["id"], one.get("name")})]

    def _granted(self, method: str) -> float:
        return LIMITED[method] if self.client.limited else TIER_3

    def _cursor(self, channel: Json) -> ChannelCursor | None:
        saved = self.run.cursors.get(channel["id"])
        if saved is None:
            return None
        return reaching(ChannelCursor.model_validate(saved), ts_of(self._since()))

    def _since(self) -> Any:
        return self.run.started_at - self.run.history

    def _unread(self, channel: Json) -> list[Window]:
        """Return what was never read of a channel."""
        cursor, since, until = self._cursor(channel), self._since(), self.run.started_at
        if cursor is not None:
            return [Window(since=at(part.oldest), until=at(part.latest)) for part in cursor.unread]
        return [Window(since=since, until=until)]

    async def _live(self, channel: Json) -> float:
        """Return how many requests a sync makes for what is new of a channel, and what may have changed."""
        cursor = self._cursor(channel)
        if cursor is None or (cursor.archived and channel.get("is_archived")):
            return 0
        watch = self.run.at_most(timedelta(days=self.run.options.watch_days))
        shown = {"channel_id": channel["id"], "in_channel": True}
        count = await self.existing.count_after("ts", ts_of(self.run.started_at - watch), **shown)
        return max(1, ceil(count / self.size))

    def _again(self, live: float) -> float:
        """Return how many of the requests for what may have changed the next sync makes again: see `next_plan`."""
        return max(1, live) if live * self.size <= WHOLE_WINDOW_PAGES * PAGE else 1

    async def _looked(self, channel: Json, window: Window) -> list[Look] | None:
        """Look at a range of a channel; None where Slack does not let us."""

        async def first_page(window: Window) -> Look:
            oldest, latest = ts_of(window.since), ts_of(window.until)
            messages, more = await self.client.newest(channel["id"], oldest=oldest, latest=latest)
            if more:
                self.size = min(self.size, max(1, len(messages)))
            # Slack's ranges include both ends: the message at the later one was seen
            shown = {ts: message for message in messages if (ts := ts_of_message(message)) and ts < latest}
            self.messages += shown.values()
            return Look(window, list(shown.values()), more, at(min(shown)) if shown else None)

        try:
            return await looks(first_page, window, 1 if self.client.limited else PIECES, self.whole)
        except PartUnreadable:
            return None

    def _history(self, looked: Sequence[Look]) -> Amount:
        return pages(total(looked), self.size)

    def _replies(self, looked: Sequence[Look]) -> Amount:
        """Return how many pages of threads are read: each shows the parent with its replies."""
        counts = [_reply_count(message) for look in looked for message in look.items]
        return over(total(looked), [ceil((1 + count) / self.size) if count else 0 for count in counts])


def _messages(looked: Sequence[Look]) -> Amount:
    """Return how many messages there are, replies included."""
    return over(total(looked), [1 + _reply_count(message) for look in looked for message in look.items])


def _reply_count(message: object) -> int:
    count = message.get("reply_count") if isinstance(message, dict) else None
    return count if isinstance(count, int) and 0 < count <= MOST_REPLIES else 0


def _scaled(amounts: Sequence[Amount], count: int) -> Amount:
    """Return the sum of so many, of which some are known."""
    known = sum(amounts, Amount()).times(count / max(1, len(amounts)))
    return over(Amount(count), [one.likely for one in amounts]) + Amount(0, known.variance)


def _notes(looked_at: int, channels: int) -> list[str]:
    notes = ["profiles of people outside of the company, and what is looked at again in old channels, come on top"]
    if looked_at < channels:
        notes.append(f"{looked_at} of {channels} channels were looked at")
    return notes
