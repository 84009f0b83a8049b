"""What a Slack workspace shows is what the database holds, whatever people do between two syncs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from ingest_assets.sources.slack.records import SlackUser
from tests.workbench import Bench, Workspace

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ON_THE_EDGE = 2  # requests that reach Slack a moment before its minute is over
LIVELY = {"messages": 40, "threads": 8, "replies": 3, "broadcasts": 2}


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    """A connected workspace with one empty channel."""
    return bench.workspace("acme", "general")


@pytest.fixture
def lively(bench: Bench) -> Workspace:
    """A connected workspace in which people have talked in two channels."""
    return bench.workspace("acme", world={"channels": 2, **LIVELY})


class TestAFirstSync:
    def test_brings_every_message_reply_and_broadcast(self, lively: Workspace) -> None:
        result = lively.reads()
        assert lively.held() == lively.shown()
        assert result.counts.new == len(lively.shown()) == len(lively.rows)
        assert (result.counts.changed, result.counts.deleted, result.counts.rejected) == (0, 0, 0)

    def test_keeps_timestamps_exact(self, acme: Workspace) -> None:
        now = int(acme.bench.clock.now().timestamp())
        exact = [f"{now - 100}.{micros}" for micros in ("000001", "000009", "123456", "999999")]
        for ts in exact:
            acme.say("general", "hello", ts=ts)
        acme.reads()
        assert sorted(acme.rows) == exact
        for ts, row in acme.rows.items():
            assert f"{int(row.occurred_at.timestamp())}.{row.occurred_at.microsecond:06d}" == ts

    def test_stores_a_thread_broadcast_as_one_row(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=2)
        broadcast = acme.say("general", "answer", thread_ts=parent, broadcast=True)
        acme.reads()
        assert sorted(acme.rows) == sorted([parent, broadcast])
        row = acme.rows[broadcast]
        assert (row.thread_ts, row.in_channel, row.subtype) == (parent, True, "thread_broadcast")
        assert row.conversation_id == acme.rows[parent].external_id

    def test_leaves_what_is_newer_than_its_start_to_the_next_one(self, acme: Workspace) -> None:
        acme.say("general", "now")
        later = acme.say("general", "in an hour", hours_ago=-1)
        acme.reads()
        assert later not in acme.rows
        acme.bench.clock.advance(2 * HOUR)
        acme.reads()
        assert later in acme.rows

    def test_reads_no_further_back_than_the_history_setting_and_more_when_it_is_raised(
        self, acme: Workspace
    ) -> None:
        old = acme.say("general", "two weeks ago", hours_ago=14 * 24)
        answer = acme.say("general", "an answer", thread_ts=old, hours_ago=13 * 24)
        recent = acme.say("general", "yesterday", hours_ago=24)
        acme.bench.choose(history_days=2)
        acme.reads()
        assert set(acme.rows) == {recent}
        acme.bench.choose(history_days=30)
        acme.reads()
        assert set(acme.rows) == {old, answer, recent}

    def test_reads_private_channels(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", {"name": "secret", "private": True})
        ts = acme.say("secret", "psst")
        acme.reads()
        assert ts in acme.rows

    def test_leaves_private_channels_alone_when_told_to(self, bench: Bench) -> None:
        acme = bench.workspace(
            "acme", "general", {"name": "secret", "private": True}, settings={"public_only": True}
        )
        acme.say("secret", "psst")
        acme.reads()
        assert acme.rows == {}

    def test_reads_an_archived_channel_once(self, bench: Bench) -> None:
        acme = bench.workspace("acme", {"name": "old", "archived": True})
        ts = acme.say("old", "goodbye", hours_ago=3)
        acme.reads()
        assert set(acme.rows) == {ts}
        since = bench.requests()
        acme.reads()
        assert "conversations.history" not in acme.calls(since=since)

    def test_of_an_empty_workspace_is_a_success(self, acme: Workspace) -> None:
        assert acme.reads().counts.new == 0


class TestALaterSync:
    def test_changes_nothing_and_costs_little_when_nothing_happened(self, lively: Workspace) -> None:
        lively.reads()
        before = {ts: (row.updated_at, row.content_hash) for ts, row in lively.rows.items()}
        since = lively.bench.requests()
        result = lively.reads()
        counts = result.counts
        assert (counts.new, counts.changed, counts.deleted, counts.rejected) == (0, 0, 0, 0)
        assert {ts: (row.updated_at, row.content_hash) for ts, row in lively.rows.items()} == before
        assert lively.calls(since=since) == {"users.conversations": 1, "conversations.history": 2}

    def test_finds_a_late_reply_to_an_old_thread(self, acme: Workspace) -> None:
        parent = acme.say("general", "old question", hours_ago=20 * 24)
        acme.say("general", "old answer", thread_ts=parent, hours_ago=19 * 24)
        acme.reads()
        acme.bench.clock.advance(DAY)
        late = acme.say("general", "late answer", thread_ts=parent)
        assert acme.reads().counts.new == 1
        assert acme.rows[late].thread_ts == parent

    def test_finds_an_edit(self, acme: Workspace) -> None:
        ts = acme.say("general", "first", hours_ago=1)
        acme.reads()
        acme.order("edit", channel="general", ts=ts, text="second")
        assert acme.reads().counts.changed == 1
        assert (acme.rows[ts].text, acme.rows[ts].edited_ts is not None) == ("second", True)

    def test_finds_an_edited_reply_within_a_day(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=2)
        reply = acme.say("general", "first", thread_ts=parent, hours_ago=1)
        acme.reads()
        acme.order("edit", channel="general", ts=reply, text="second")
        acme.bench.clock.advance(DAY)
        acme.reads()
        assert acme.rows[reply].text == "second"

    def test_finds_a_reaction(self, acme: Workspace) -> None:
        ts = acme.say("general", "hello", hours_ago=1)
        acme.reads()
        acme.order("react", channel="general", ts=ts, name="heart")
        assert acme.reads().counts.changed == 1
        assert acme.rows[ts].raw["reactions"][0]["name"] == "heart"

    def test_marks_a_deleted_message(self, acme: Workspace) -> None:
        ts, kept = acme.say("general", "oops", hours_ago=2), acme.say("general", "fine", hours_ago=1)
        acme.reads()
        acme.order("delete", channel="general", ts=ts)
        assert acme.reads().counts.deleted == 1
        assert set(acme.living) == {kept}
        assert acme.rows[ts].deleted_at is not None
        assert acme.reads().counts.deleted == 0

    def test_marks_a_deleted_parent_and_keeps_its_replies(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=2)
        reply = acme.say("general", "answer", thread_ts=parent, hours_ago=1)
        acme.reads()
        acme.order("delete", channel="general", ts=parent)
        assert acme.reads().counts.deleted == 1
        assert set(acme.living) == {reply}
        assert acme.rows[parent].text is None
        assert acme.reads().counts.deleted == 0

    def test_marks_a_deleted_reply(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=3)
        gone, kept = (acme.say("general", "a", thread_ts=parent, hours_ago=hours) for hours in (2, 1))
        acme.reads()
        acme.order("delete", channel="general", ts=gone)
        assert acme.reads().counts.deleted == 1
        assert set(acme.living) == {parent, kept}

    def test_marks_the_only_reply_of_a_thread_when_it_is_deleted(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=3)
        reply = acme.say("general", "answer", thread_ts=parent, hours_ago=1)
        acme.reads()
        acme.order("delete", channel="general", ts=reply)
        acme.reads()
        assert set(acme.living) == {parent}

    def test_marks_a_whole_thread_that_was_deleted_replies_and_all(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=3)
        replies = [acme.say("general", "answer", thread_ts=parent, hours_ago=hours) for hours in (2, 1)]
        acme.reads()
        for ts in (*replies, parent):
            acme.order("delete", channel="general", ts=ts)
        acme.reads()
        assert acme.living == {}

    def test_marks_a_deleted_broadcast(self, acme: Workspace) -> None:
        parent = acme.say("general", "question", hours_ago=3)
        broadcast = acme.say("general", "answer", thread_ts=parent, broadcast=True, hours_ago=1)
        acme.reads()
        acme.order("delete", channel="general", ts=broadcast)
        acme.reads()
        assert set(acme.living) == {parent}

    @pytest.mark.parametrize("seed", range(5))
    def test_holds_what_slack_shows_after_random_life(self, bench: Bench, seed: int) -> None:
        acme = bench.workspace("acme", seed=seed, world={"channels": 3, "span_hours": 12, **LIVELY})
        acme.reads()
        for chapter in range(2):  # an edited reply leaves a trace for three days
            acme.order("life", seed=seed * 10 + chapter, steps=60)
            bench.clock.advance(DAY)  # young threads are looked at daily
            acme.reads()
            assert acme.held() == acme.shown()

    def test_reads_the_whole_history_of_a_channel_that_was_chosen_later(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "one", "two", settings={"channels": ["one"]})
        first, second = (acme.say(name, "old", hours_ago=240) for name in ("one", "two"))
        acme.reads()
        assert set(acme.rows) == {first}
        bench.connect(acme, channels=["one", "two"])
        acme.reads()
        assert set(acme.rows) == {first, second}

    def test_leaves_no_gap_when_the_bot_was_away(self, acme: Workspace) -> None:
        acme.say("general", "before", hours_ago=2)
        acme.reads()
        acme.order("membership", channel="general", member=False)
        acme.bench.clock.advance(3 * DAY)
        missed = acme.say("general", "nobody saw this", hours_ago=24)
        assert acme.sync().status == "partial"
        assert missed not in acme.rows
        acme.bench.clock.advance(DAY)
        acme.order("membership", channel="general", member=True)
        acme.reads()
        assert missed in acme.living
        assert acme.held() == acme.shown()


class TestText:
    def test_is_readable(self, acme: Workspace) -> None:
        person = acme.users[0]
        acme.order("user", name="ann", real_name="Ann Lee", id=person)
        channel = acme.channels["general"]
        ts = acme.say(
            "general",
            f"<@{person}> see <#{channel}> <!here> <https://a.example|the page> "
            "<https://b.example> 1 &lt; 2 &amp;amp;",
            hours_ago=1,
        )
        acme.reads()
        expected = "@Ann Lee see #general @here the page (https://a.example) https://b.example 1 < 2 &amp;"
        assert acme.rows[ts].text in (expected, expected.replace("Ann Lee", "ann"))

    def test_is_that_of_blocks_where_a_message_has_no_other(self, acme: Workspace) -> None:
        person = acme.users[0]
        acme.order("user", name="ann", real_name="Ann", id=person)
        inline = [
            {"type": "user", "user_id": person},
            {"type": "text", "text": " says 1 < 2 & "},
            {"type": "link", "url": "https://a.example", "text": "why"},
            {"type": "emoji", "name": "tada"},
        ]
        blocks = [
            {"type": "header", "text": {"type": "plain_text", "text": "Report"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "*Up* &amp; away"}, "fields": [None]},
            {"type": "divider"},
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": inline}]},
        ]
        ts = acme.say("general", "x", hours_ago=1, extra={"text": "", "blocks": blocks})
        acme.reads()
        expected = "Report\n*Up* & away\n@Ann says 1 < 2 & why (https://a.example):tada:"
        assert acme.rows[ts].text in (expected, expected.replace("Ann", "ann"))

    def test_names_a_guest_that_the_directory_does_not_list(self, acme: Workspace) -> None:
        guest = acme.order("user", name="gus", real_name="Gus Guest", listed=False)["user"]
        ts = acme.say("general", f"ask <@{guest}>", hours_ago=1)
        acme.reads()
        assert acme.rows[ts].text in ("ask @Gus Guest", "ask @gus")
        assert guest in {row.external_id for row in acme.stored(SlackUser.table)}
        since = acme.bench.requests()
        acme.say("general", f"ask <@{guest}> again")
        acme.reads()
        assert "users.info" not in acme.calls(since=since)

    def test_arrives_without_nul_bytes(self, acme: Workspace) -> None:
        ts = acme.say("general", "be\0fore", hours_ago=1)
        acme.reads()
        assert acme.rows[ts].text == acme.rows[ts].raw["text"] == "before"
        assert acme.reads().counts.changed == 0

    def test_arrives_with_lone_surrogates_replaced(self, acme: Workspace) -> None:
        kept = acme.say("general", "fine", hours_ago=2)
        ts = acme.say("general", "half an emoji: HALF", hours_ago=1)
        with replacing(acme.bench.options.api_url, b"HALF", rb"\ud83d") as url:
            acme.bench.choose(api_url=url)
            acme.reads()
        assert acme.rows[ts].text == acme.rows[ts].raw["text"] == "half an emoji: \N{REPLACEMENT CHARACTER}"
        assert kept in acme.rows


class TestPages:
    @pytest.mark.parametrize(
        "treatment",
        [
            {"order": "oldest_first"},
            {"empty_pages": True},
            {"page_cap": 3},
            {"page_cap": 3, "order": "oldest_first"},
            {"page_cap": 4, "empty_pages": True},
            {"page_cap": 4, "empty_pages": True, "order": "oldest_first"},
            {"page_cap": 2, "repeat_parent": False},
        ],
        ids=str,
    )
    def test_are_all_read_however_slack_cuts_them(self, bench: Bench, treatment: dict[str, Any]) -> None:
        acme = bench.workspace("acme", world={"channels": 2, **LIVELY}, **treatment)
        acme.reads()
        assert acme.held() == acme.shown()
        acme.order("life", seed=1, steps=40)
        bench.clock.advance(DAY)
        acme.reads()
        assert acme.held() == acme.shown()

    @pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
    def test_are_read_anew_from_where_a_cursor_died(self, bench: Bench, order: str) -> None:
        acme = bench.workspace("acme", "general", page_cap=5, order=order)
        acme.say_many("general", 60)
        acme.fault("invalid_cursor", method="conversations.history", only_with_cursor=True, skip=4)
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.calls()["conversations.history"] < 2 * 60 // 5

    @pytest.mark.parametrize("method", ["users.list", "users.conversations", "conversations.replies"])
    def test_of_anything_survive_a_cursor_that_died(self, bench: Bench, method: str) -> None:
        acme = bench.workspace("acme", "general", "random", page_cap=1)
        parent = acme.say("general", "question", hours_ago=5)
        for hours in (4, 3, 2, 1):
            acme.say("general", "answer", thread_ts=parent, hours_ago=hours)
        acme.fault("invalid_cursor", method=method, only_with_cursor=True)
        acme.sync()
        acme.reads()
        assert acme.held() == acme.shown()

    def test_with_a_repeated_cursor_are_an_error_and_no_endless_loop(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=5)
        acme.say_many("general", 60)
        acme.fault("repeat_cursor", method="conversations.history", times=-1)
        result = acme.sync()
        assert result.status == "partial"
        assert "repeats a page cursor" in acme.unreadable["general"].action
        assert acme.calls()["conversations.history"] < 10

    def test_without_a_list_are_an_error(self, acme: Workspace) -> None:
        acme.fault("garbage_page", method="conversations.history")
        assert acme.sync().status == "partial"
        assert "no list of messages" in acme.unreadable["general"].action
        acme.reads()
        assert acme.unreadable == {}


class TestAnItemThatCannotBeParsed:
    MALFORMED = (
        {"text": "no time"},
        "not even an object",
        None,
        {"ts": "yesterday", "text": "a strange time"},
    )
    DISTORTED = (
        {"thread_ts": 17},
        {"edited": "yes"},
        {"user": {"id": "U1"}},
        {"reply_count": "many"},
        {"text": "", "attachments": 7},
        {"text": "", "files": "none"},
        {"subtype": ["a"]},
    )

    @pytest.mark.parametrize("payload", MALFORMED, ids=str)
    def test_is_set_aside_once_and_the_rest_arrives(self, acme: Workspace, payload: Any) -> None:
        kept = acme.say("general", "fine", hours_ago=1)
        acme.order("raw", channel="general", payload=payload)
        assert acme.reads().counts.rejected == 1
        assert set(acme.rows) == {kept}
        assert [row.payload for row in acme.rejected] == [payload]
        assert acme.reads().counts.rejected == 0
        assert len(acme.rejected) == 1

    @pytest.mark.parametrize("extra", DISTORTED, ids=str)
    def test_with_a_field_of_a_wrong_type_does_not_stop_the_others(
        self, acme: Workspace, extra: dict[str, Any]
    ) -> None:
        kept = acme.say("general", "fine", hours_ago=1)
        odd = acme.say("general", "odd", hours_ago=0.5, extra=extra)
        acme.reads()
        assert kept in acme.rows
        held = {row.item_key for row in acme.rejected} | {row.external_id for row in acme.rows.values()}
        assert f"{acme.channels['general']}:{odd}" in held

    def test_is_named_by_its_field_and_never_by_its_value(self, acme: Workspace) -> None:
        acme.say("general", "odd", extra={"user": {"canary": "CANARY"}})
        acme.reads()
        [row] = acme.rejected
        assert "author_id" in row.error
        assert "CANARY" not in row.error.upper().replace("CANARY_ID", "")

    def test_is_forgotten_once_it_can_be_parsed(self, acme: Workspace) -> None:
        ts = acme.say("general", "odd", hours_ago=1, extra={"edited": "yes"})
        acme.reads()
        assert len(acme.rejected) == 1
        acme.order("edit", channel="general", ts=ts, text="fine now")
        acme.reads()
        assert (acme.rejected, set(acme.rows)) == ([], {ts})

    def test_does_not_make_us_believe_that_its_message_was_deleted(self, acme: Workspace) -> None:
        ts = acme.say("general", "fine", hours_ago=1)
        acme.reads()
        acme.order("delete", channel="general", ts=ts)
        acme.order("raw", channel="general", payload={"ts": ts, "text": "odd", "user": 7})
        result = acme.reads()
        assert (result.counts.rejected, result.counts.deleted) == (1, 0)
        assert set(acme.living) == {ts}

    def test_among_many_such_items_fails_the_sync(self, acme: Workspace) -> None:
        acme.say_many("general", 30, hours_ago=2)
        for place in range(12):
            acme.say("general", f"odd {place}", hours_ago=1, extra={"user": 7})
        result = acme.sync()
        assert result.status == "failed"
        assert "could not be parsed" in str(result.reason)
        assert len(acme.rejected) == 12
        assert len(acme.rows) == 30
        assert (acme.account.state, acme.account.error_kind) == ("failing", "rejected_share")


class TestDeletions:
    def test_of_too_many_rows_are_not_believed(self, acme: Workspace) -> None:
        said = acme.say_many("general", 60, hours_ago=2)
        acme.reads()
        for ts in said[:30]:
            acme.order("delete", channel="general", ts=ts)
        result = acme.sync()
        assert result.status == "failed"
        assert "`ingest-assets deletions review --workspace acme --source slack`" in str(result.reason)
        assert len(acme.living) == 60

    def test_too_many_that_slack_itself_flags_as_deleted_are_not_believed_either(self, acme: Workspace) -> None:
        parents = acme.say_many("general", 30)
        for ts in parents:  # a thread whose parent is deleted keeps it as a tombstone
            acme.say("general", "a reply", thread_ts=ts)
        acme.reads()
        for ts in parents:
            acme.order("delete", channel="general", ts=ts)
        result = acme.sync()
        assert (result.status, result.counts.deleted) == ("failed", 0)
        assert "shows 30 of 60 stored rows" in str(result.reason)

    def test_of_everything_in_a_small_channel_are_believed(self, acme: Workspace) -> None:
        said = acme.say_many("general", 10, hours_ago=2)
        acme.reads()
        for ts in said:
            acme.order("delete", channel="general", ts=ts)
        assert acme.reads().counts.deleted == 10


class TestAChannelThatCannotBeRead:
    def test_makes_the_sync_partial_and_is_named(self, bench: Bench) -> None:
        acme = bench.workspace(
            "acme", "general", {"name": "closed", "member": False}, settings={"channels": ["general", "closed"]}
        )
        ts = acme.say("general", "hello")
        result = acme.sync()
        assert result.status == "partial"
        assert "not_in_channel" in str(result.reason)
        assert set(acme.rows) == {ts}
        assert acme.account.state == "active"

    def test_leaves_the_others_alone(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "special")
        ts = acme.say("general", "hello")
        acme.say("special", "hello")
        acme.fault("error", error="channel_is_limited_access", channel="special", times=-1)
        result = acme.sync()
        assert (result.status, result.reason) == ("partial", "not readable: special (channel_is_limited_access)")
        assert set(acme.rows) == {ts}

    def test_is_joined_where_the_account_says_so(self, bench: Bench) -> None:
        acme = bench.workspace(
            "acme",
            {"name": "open", "member": False},
            settings={"channels": ["open"], "join": True},
            scopes=[
                "channels:read",
                "channels:history",
                "channels:join",
                "users:read",
                "groups:read",
                "groups:history",
            ],
        )
        ts = acme.say("open", "hello", hours_ago=1)
        acme.reads()
        assert ts in acme.rows


class TestALimitedApp:
    """One request a minute, 15 messages, for conversations.history and conversations.replies."""

    @pytest.fixture
    def limited(self, bench: Bench) -> Workspace:
        bench.choose(pacing=True)
        made = bench.workspace("acme", "general", "random", app_class="limited")
        made.say_many("general", 50, hours_ago=2)
        parent = made.say("random", "question", hours_ago=3)
        made.say("random", "answer", thread_ts=parent, hours_ago=2)
        made.say_many("random", 20)
        return made

    def test_is_detected_paced_and_read_completely(self, limited: Workspace) -> None:
        limited.reads()
        assert limited.held() == limited.shown()
        assert limited.bench.ask("ledger/counts", team=limited.team)["throttled"] <= 5

    def test_is_remembered(self, limited: Workspace) -> None:
        limited.reads()
        assert limited.cursors[""]["limited"] is True
        limited.bench.clock.advance(HOUR)
        since = limited.bench.requests()
        limited.reads()
        counts = limited.bench.ask("ledger/counts", team=limited.team, since=since)
        assert counts["throttled"] <= ON_THE_EDGE

    def test_that_is_declared_is_hardly_ever_told_to_slow_down(self, bench: Bench) -> None:
        bench.choose(pacing=True)
        acme = bench.workspace("acme", "general", app_class="limited", settings={"app_class": "limited"})
        acme.say_many("general", 50, hours_ago=2)
        acme.reads()
        assert acme.held() == acme.shown()
        assert bench.ask("ledger/counts", team=acme.team)["throttled"] <= ON_THE_EDGE

    def test_is_not_suspected_behind_a_short_pause(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=15)
        acme.say_many("general", 50, hours_ago=2)
        acme.fault("ratelimit", method="conversations.history", retry_after=2, skip=2)
        acme.reads()
        assert acme.cursors[""]["limited"] is False

    def test_is_detected_where_every_channel_fits_into_a_page(self, bench: Bench) -> None:
        """Nothing but pauses that a normal app would never meet gives it away, and no channel is passed over."""
        bench.choose(pacing=True)
        names = [f"c{number}" for number in range(8)]
        acme = bench.workspace("acme", *names, app_class="limited")
        for name in names:
            acme.say_many(name, 3)
        for _ in range(2):
            acme.sync()
            bench.clock.advance(HOUR)
        assert acme.cursors[""]["limited"] is True
        assert acme.held() == acme.shown()

    def test_reads_a_long_thread_in_several_syncs(self, bench: Bench) -> None:
        bench.choose(pacing=True)
        acme = bench.workspace("acme", "general", app_class="limited", settings={"app_class": "limited"})
        parent = acme.say("general", "question", hours_ago=5)
        for place in range(40):
            acme.say("general", f"answer {place}", thread_ts=parent, hours_ago=4 - place / 100)
        for _ in range(4):  # a directory and a page of the channel come before the thread's three pages
            acme.sync(sync_minutes=1e-9)
        since = bench.requests()
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.calls(since=since)["conversations.replies"] <= 2
        last = acme.say("general", "one more", thread_ts=parent)
        acme.reads()
        assert last in acme.living


class TestASyncThatIsCutShort:
    def test_leaves_no_channel_behind_for_good(self, bench: Bench) -> None:
        names = [f"c{number}" for number in range(8)]
        acme = bench.workspace("acme", *names)
        for name in names:
            acme.say_many(name, 3)
        for _ in ["the directory", *names]:
            acme.sync(sync_minutes=1e-9)
        assert acme.held() == acme.shown()


class TestPacing:
    def test_keeps_a_busy_workspace_below_slacks_limits(self, bench: Bench) -> None:
        bench.choose(pacing=True)
        acme = bench.workspace("acme", "general", page_cap=2, enforce_limits=True)
        acme.say_many("general", 240, hours_ago=2)
        acme.reads()
        assert acme.held() == acme.shown()
        assert bench.ask("ledger/counts", team=acme.team)["throttled"] <= ON_THE_EDGE
        assert 60 <= sum(bench.clock.pauses) <= 240


@contextmanager
def replacing(upstream: str, old: bytes, new: bytes) -> Iterator[str]:
    """Serve what another address serves, with some bytes replaced: JSON that our simulator cannot hold."""

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            method = self.path.rpartition("/api/")[2]
            answer = httpx.get(upstream + method, headers={"Authorization": self.headers["Authorization"]})
            body = answer.content.replace(old, new)
            self.send_response(answer.status_code)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    thread = Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
