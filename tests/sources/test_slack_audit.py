"""What happens to old messages and threads is seen within the audit's days, at its share of the requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.sources.slack.directory import ACCOUNT
from ingest_assets.sources.slack.pace import Pace, allowance
from ingest_assets.sources.slack.records import at, ts_of
from ingest_assets.sources.slack.stretches import (
    MOST,
    Range,
    Stretch,
    extended,
    just_before,
    longest_ago,
    marked,
    most_due,
)
from ingest_assets.sources.slack.zones import OF_ANY_AGE
from tests.workbench import Bench, Workspace

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD = {"span_hours": 24 * 300, "ends_hours_ago": 24 * 40}
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    """A workspace with two channels whose messages and threads are 40 to 340 days old, read a moment ago."""
    bench.choose(history_days=400)
    acme = bench.workspace("acme", world={"channels": 2, "messages": 300, "threads": 40, "replies": 2, **OLD})
    acme.reads()
    return acme


def reads_for(acme: Workspace, time: timedelta, *, every: timedelta = 12 * HOUR) -> dict[str, int]:
    """Sync again and again; return how often each method was called."""
    since = acme.bench.requests()
    for _ in range(int(time / every)):
        acme.bench.clock.advance(every)
        acme.reads()
    return acme.calls(since=since)


def some(acme: Workspace, **equal: Any) -> Any:
    """A stored row like that, out of the middle."""
    rows = [row for row in acme.rows.values() if all(getattr(row, key) == value for key, value in equal.items())]
    return sorted(rows, key=lambda row: str(row.ts))[len(rows) // 2]


def change(acme: Workspace, verb: str, row: Any, **fields: Any) -> None:
    acme.order(verb, channel=row.channel_id, ts=row.ts, **fields)


class TestOldMessages:
    def test_show_replies_edits_and_deletions_within_a_week(self, acme: Workspace) -> None:
        edited, deleted, *_ = [row for row in acme.rows.values() if row.thread_ts is None][50:]
        change(acme, "edit", edited, text="changed my mind")
        change(acme, "delete", deleted)
        answered = some(acme, thread_ts=None)
        acme.say(answered.channel_id, "a late answer", thread_ts=answered.ts)
        parent = next(row for row in acme.rows.values() if row.thread_ts == row.ts)
        acme.say(parent.channel_id, "another one", thread_ts=parent.ts)
        assert acme.held() != acme.shown()
        reads_for(acme, 8 * DAY)
        assert acme.held() == acme.shown()
        assert acme.rows[edited.ts].text == "changed my mind"
        assert acme.rows[deleted.ts].deleted_at is not None

    def test_on_the_border_of_two_looks_are_seen_to_be_deleted(self, bench: Bench) -> None:
        bench.choose(history_days=400)
        world = {"channels": 1, "messages": 60, **OLD}
        acme = bench.workspace(
            "acme", world=world, settings={"app_class": "limited"}
        )  # 14 messages with each look
        acme.reads()
        for row in acme.rows.values():
            change(acme, "delete", row)
        for _ in range(8 * 2):
            bench.clock.advance(12 * HOUR)
            assert acme.sync(deleted_share=1).status == "success"
        assert acme.living == {}

    def test_of_a_channel_that_is_archived_are_looked_at(self, bench: Bench) -> None:
        bench.choose(history_days=400)
        acme = bench.workspace("acme", {"name": "closed", "archived": True})
        first, second = (acme.say("closed", "goodbye", hours_ago=hours) for hours in (2, 24 * 60))
        acme.reads()
        for ts in (first, second):
            acme.order("delete", channel="closed", ts=ts)
        reads_for(acme, 8 * DAY)
        assert acme.living == {}

    def test_are_left_alone_where_the_audit_is_off(self, acme: Workspace) -> None:
        acme.bench.choose(audit_days=0, audit_threads_days=0)
        change(acme, "delete", some(acme, thread_ts=None))
        reads_for(acme, 8 * DAY)
        assert acme.held() != acme.shown()
        assert all(not cursor["audited"]["messages"] for key, cursor in acme.cursors.items() if key)


class TestOldThreads:
    def test_show_edited_replies_within_a_month(self, acme: Workspace) -> None:
        parents = [row for row in acme.rows.values() if row.thread_ts == row.ts]
        tombstone, kept = parents[3], parents[7]
        change(acme, "delete", tombstone)
        reads_for(acme, 8 * DAY)
        assert acme.rows[tombstone.ts].deleted_at is not None
        replies = [
            next(row for row in acme.rows.values() if row.thread_ts == one.ts and row.ts != one.ts)
            for one in (tombstone, kept)
        ]
        for reply in replies:
            change(acme, "edit", reply, text="I meant something else")
        reads_for(acme, 31 * DAY, every=DAY)
        assert {acme.rows[reply.ts].text for reply in replies} == {"I meant something else"}
        assert acme.held() == acme.shown()

    def test_that_are_gone_as_a_whole_are_no_parts_that_cannot_be_read(self, acme: Workspace) -> None:
        acme.bench.choose(audit_days=0)
        threads = [row for row in acme.rows.values() if row.thread_ts is not None][:30]
        for row in sorted(
            threads, key=lambda row: row.ts, reverse=True
        ):  # a parent without replies leaves nothing
            change(acme, "delete", row)
        reads_for(acme, 31 * DAY, every=DAY)
        assert not acme.unreadable
        assert {row.ts for row in threads} & set(acme.living) <= {row.thread_ts for row in acme.living.values()}


class TestTheRequests:
    def test_of_a_round_are_little_more_than_pages_and_threads(self, bench: Bench) -> None:
        bench.choose(history_days=400)
        world = {"channels": 3, "messages": 1500, "threads": 60, "replies": 1, **OLD}
        acme = bench.workspace("acme", world=world)
        acme.reads()
        assert acme.cursors[ACCOUNT]["audit"]["threads"]["total"] == 180
        bench.choose(audit_threads_days=7)
        calls = reads_for(acme, 7 * DAY, every=3 * HOUR)
        live = 7 * 8 * 3  # a channel's watch window, each time
        rounds = 7 / 6.3
        assert calls["conversations.replies"] == round(180 * rounds)
        assert 6 <= calls["conversations.history"] - live <= 6 * rounds + 3

    def test_keep_to_a_share_of_the_limit_and_a_longer_round_is_told(self) -> None:
        much = Pace(total=100_000, until=NOW)
        allowed = allowance(much, NOW + timedelta(minutes=15), days=7, per_minute=50)
        assert allowed.steady == allowed.most == 75
        assert allowed.days == pytest.approx(100_000 / 5 / 60 / 24)
        assert allowed.after(much, 75).until == NOW + timedelta(minutes=15)

    @pytest.mark.parametrize("minutes", [1, 15, 60, 24 * 60])
    def test_are_spread_over_the_days(self, minutes: int) -> None:
        pace, now, asked = Pace(total=700, until=NOW), NOW, 0
        while now < NOW + 7 * DAY:
            now += timedelta(minutes=minutes)
            allowed = allowance(pace, now, days=7, per_minute=50)
            pace, asked = allowed.after(pace, allowed.steady), asked + allowed.steady
            assert asked == pytest.approx(700 * ((now - NOW) / (6.3 * DAY)), abs=1.001)


class TestOneChannelThatRefuses:
    def test_holds_up_no_other_and_is_told(self, acme: Workspace) -> None:
        sick, well = acme.channels.values()
        for channel_id in (sick, well):
            row = next(row for row in acme.rows.values() if row.channel_id == channel_id and row.thread_ts is None)
            change(acme, "delete", row)
        name = next(name for name, key in acme.channels.items() if key == sick)
        replies = {"method": "conversations.replies", "channel": name}
        acme.fault("error", error="internal_error", times=-1, **replies)
        for row in acme.rows.values():
            if row.thread_ts == row.ts:
                acme.say(row.channel_id, "a late answer", thread_ts=row.ts)
        statuses = set()
        for _ in range(16):
            acme.bench.clock.advance(12 * HOUR)
            statuses.add(acme.sync().status)
        assert "partial" in statuses
        assert statuses <= {"success", "partial"}  # by chance the first look is at the other channel
        assert {row for row in acme.shown() - acme.held() if row[0] == well} == set()
        assert acme.unreadable
        acme.heal()
        reads_for(acme, 8 * DAY)
        assert acme.held() == acme.shown()
        assert not acme.unreadable


class TestStretches:
    @pytest.mark.parametrize(
        ("channels", "threads", "every", "days"), [(3, 60, 3 * HOUR, 7), (1, 1000, HOUR / 4, 30)]
    )
    def test_are_looked_at_in_time_by_as_many_requests_as_there_are_threads(
        self, channels: int, threads: int, every: timedelta, days: int
    ) -> None:
        rng, period = random.Random(1), days * DAY  # noqa: S311  (repeatable on purpose)
        said = {
            channel: [ts_of(NOW - timedelta(days=rng.uniform(40, 340))) for _ in range(threads)]
            for channel in range(channels)
        }
        known = {channel: list[Stretch]() for channel in said}
        pace, now = Pace(total=channels * threads, until=NOW), NOW
        while now < NOW + 3 * period:
            now += every
            for channel, stretches in known.items():  # once a day it is known of all new threads how they are
                zone, day = Range(oldest=OF_ANY_AGE, latest=ts_of(now)), NOW + (now - NOW) // DAY * DAY
                known[channel] = extended(stretches, zone, above=day, below=NOW, period=period)
            allowed = allowance(pace, now, days=days, per_minute=50)
            pace, left = allowed.after(pace, allowed.steady), allowed.steady
            while left:
                channels_by_chance = rng.sample(list(known), channels)
                channel = min(channels_by_chance, key=lambda one: longest_ago(known[one]) or now)
                due = most_due(known[channel], now, period)
                below = sorted((ts for ts in said[channel] if due.oldest <= ts <= due.latest), reverse=True)[:left]
                seen = just_before(below[-1]) if len(below) == left else due.oldest
                known[channel] = marked(known[channel], Range(oldest=seen, latest=due.latest), now)
                left -= len(below)
            assert now - min(filter(None, map(longest_ago, known.values()))) <= period

    def test_are_walked_on_where_the_walk_has_come_to_whatever_was_read_as_long_ago(self) -> None:
        first, second, third = (ts_of(NOW - timedelta(days=days)) for days in (100, 50, 20))
        known = extended([], Range(oldest=first, latest=second), above=NOW, below=NOW, period=7 * DAY)
        known = marked(known, Range(oldest=ts_of(NOW - 60 * DAY), latest=second), NOW + HOUR)
        known = extended(known, Range(oldest=first, latest=third), above=NOW, below=NOW, period=7 * DAY)
        assert [one.read_at for one in known] == [NOW, NOW + HOUR, NOW]
        assert most_due(known, NOW + 2 * HOUR, 7 * DAY) == Range(oldest=first, latest=ts_of(NOW - 60 * DAY))
        known = marked(known, Range(oldest=first, latest=ts_of(NOW - 60 * DAY)), NOW + 2 * HOUR)
        assert most_due(known, NOW + 2 * HOUR, 7 * DAY) == Range(oldest=second, latest=third)

    @pytest.mark.parametrize("seed", range(20))
    def test_never_claim_more_than_was_read_and_leave_nothing_out(self, seed: int) -> None:
        rng, period, watch = random.Random(seed), 7 * DAY, 30 * DAY  # noqa: S311  (repeatable on purpose)
        said = [ts_of(NOW - timedelta(days=rng.uniform(0, 300))) for _ in range(200)]
        begun, now = ts_of(NOW - 310 * DAY), NOW
        read, known = dict.fromkeys(said, NOW), list[Stretch]()
        for _ in range(300):
            now += timedelta(hours=rng.choice([0.25, rng.uniform(0, 30)]))
            if rng.random() < 0.7:  # the watch window is read whole
                watched = ts_of(now - watch)
                above = at(known[0].latest) + watch if known else NOW
                known = extended(known, Range(oldest=begun, latest=watched), above=above, below=NOW, period=period)
                read |= {ts: now for ts in said if ts >= watched}
            if not known:
                continue
            due = most_due(known, now, period)
            below = sorted((ts for ts in said if due.oldest <= ts <= due.latest), reverse=True)[
                : rng.randint(1, 40)
            ]
            seen = Range(oldest=below[-1] if below and rng.random() < 0.9 else due.oldest, latest=due.latest)
            known = marked(known, seen, now)
            read |= {ts: now for ts in said if seen.oldest <= ts <= seen.latest}
            assert [one.oldest for one in known[:-1]] == [one.latest for one in known[1:]]
            assert (known[-1].oldest, known[0].latest) >= (begun, ts_of(NOW - watch))
            for ts in said:
                claimed = [one.read_at for one in known if one.oldest <= ts <= one.latest]
                assert not claimed or min(claimed) <= read[ts]
            assert len(known) <= MOST
        for _ in range(60):
            due = most_due(known, now + period, period)
            below = sorted((ts for ts in said if due.oldest <= ts <= due.latest), reverse=True)[:10]
            seen = Range(oldest=below[-1] if len(below) == 10 else due.oldest, latest=due.latest)
            known = marked(known, seen, now + period)
        assert longest_ago(known) == now + period
