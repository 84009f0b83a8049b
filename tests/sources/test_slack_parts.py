"""A channel, a thread or a profile that Slack refuses spoils nothing else, and is asked again until it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.sources.slack.extract import CHANNELS_AT_ONCE
from ingest_assets.sources.slack.records import SlackUser
from ingest_assets.storage.parts import acknowledge
from tests.workbench import Bench, Workspace

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

REFUSALS: list[dict[str, Any]] = [
    *(
        {"kind": "error", "error": code}
        for code in ("external_channel_migrating", "fatal_error", "brand_new_code")
    ),
    *({"kind": "error", "error": code} for code in ("access_denied", "invalid_auth", "missing_scope")),
    *({"kind": "status", "status": status} for status in (400, 403, 410, 500)),
    {"kind": "ratelimit", "retry_after": 1},
    {"kind": "html"},
    {"kind": "drop"},
    {"kind": "json", "status": 200, "body": ["no", "object"]},
    {"kind": "json", "status": 200, "body": {"ok": True, "messages": "oops"}},
    {"kind": "json", "status": 200, "body": {"ok": True, "messages": [], "has_more": True}},
    {
        "kind": "json",
        "status": 200,
        "body": {"ok": True, "messages": [], "response_metadata": {"next_cursor": [1]}},
    },
    {"kind": "json", "status": 200, "body": {"ok": False, "error": {"code": 1}}},
]
SOME = [*REFUSALS[2:6], *REFUSALS[9:12], *REFUSALS[14:16]]


def talk(workspace: Workspace, names: list[str], *, threads: bool = False) -> None:
    for name in names:
        workspace.say_many(name, 5)
        if threads:
            parent = workspace.say(name, "question", hours_ago=3)
            workspace.say(name, "answer", thread_ts=parent, hours_ago=2)


class TestAChannelThatIsRefused:
    @pytest.mark.parametrize("refusal", REFUSALS, ids=str)
    def test_stops_nothing_but_itself_and_heals_by_itself(self, bench: Bench, refusal: dict[str, Any]) -> None:
        names = ["sick", "one", "two", "three"]
        acme = bench.workspace("acme", *names)
        talk(acme, names)
        acme.fault(method="conversations.history", channel="sick", times=-1, **refusal)
        for _ in range(3):
            since = bench.requests()
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active"), result.reason
            assert set(acme.unreadable) == {"sick"}
            assert "sick" in str(result.reason)
            talk(acme, names)
        assert acme.calls(since=since)["conversations.history"] <= len(names) + 1
        sick = acme.channels["sick"]
        assert {row for row in acme.shown() if row[0] != sick} - acme.held() != set()  # said after the last sync
        acme.sync()
        assert {row for row in acme.held() if row[0] != sick} == {row for row in acme.shown() if row[0] != sick}
        acme.heal()
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.unreadable == {}

    def test_among_twelve_starves_none_of_the_others(self, bench: Bench) -> None:
        names = [f"c{number}" for number in range(12)]
        acme = bench.workspace("acme", *names)
        talk(acme, names)
        acme.reads()
        acme.fault(
            "error", error="external_channel_migrating", method="conversations.history", channel="c0", times=-1
        )
        for _ in range(5):
            talk(acme, names[1:])
            assert acme.sync().status == "partial"
        assert acme.held() == acme.shown()
        asked = [request["params"]["channel"] for request in acme.requests("conversations.history")[-12:]]
        assert acme.channels["c0"] in asked[-CHANNELS_AT_ONCE:]

    def test_by_several_codes_that_speak_of_the_login_asks_the_login_once(self, bench: Bench) -> None:
        names = ["one", "two", "three"]
        acme = bench.workspace("acme", *names)
        talk(acme, names)
        since = bench.requests()
        acme.fault("error", error="token_revoked", method="conversations.history", times=-1)
        assert acme.sync().status == "partial"
        assert acme.calls(since=since)["auth.test"] == 1
        assert set(acme.unreadable) == set(names)

    def test_is_asked_with_growing_pauses_by_the_schedule(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "sick", "one")
        acme.fault("error", error="fatal_error", method="conversations.history", channel="sick", times=-1)
        pauses = []
        for _ in range(4):
            acme.sync()
            due = acme.unreadable["sick"].due_at
            pauses.append(due and round((due - acme.unreadable["sick"].last_tried_at).total_seconds() / 60))
        assert pauses == [None, 5, 10, 20]


class TestAThreadThatIsRefused:
    @pytest.mark.parametrize("refusal", SOME, ids=str)
    def test_stops_nothing_but_itself_and_heals_by_itself(self, bench: Bench, refusal: dict[str, Any]) -> None:
        names = ["one", "two"]
        acme = bench.workspace("acme", *names)
        talk(acme, names, threads=True)
        parent = acme.say("one", "the sick one", hours_ago=9)
        reply = acme.say("one", "unseen", thread_ts=parent, hours_ago=8)
        acme.fault(method="conversations.replies", part=parent, times=-1, **refusal)
        for _ in range(3):
            since = bench.requests()
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active"), result.reason
            assert {row for row in acme.shown() if row[1] != reply} == acme.held()
            assert "thread of" in str(result.reason)
        assert acme.calls(since=since)["conversations.replies"] <= 2
        assert (acme.rows[parent].reply_count, acme.rows[parent].latest_reply) == (None, None)
        acme.heal()
        acme.reads()
        assert acme.held() == acme.shown()
        assert (acme.rows[parent].reply_count, acme.rows[parent].latest_reply) == (1, reply)
        since = bench.requests()
        assert acme.reads().counts.changed == 0
        assert "conversations.replies" not in acme.calls(since=since)

    def test_in_one_of_eight_channels_hides_no_message_of_the_others(self, bench: Bench) -> None:
        names = [f"c{number}" for number in range(8)]
        acme = bench.workspace("acme", *names)
        talk(acme, names, threads=True)
        acme.reads()
        acme.fault("error", error="brand_new_code", method="conversations.replies", channel="c0", times=-1)
        for _ in range(4):
            for name in names:
                parent = acme.say(name, "question", hours_ago=0.02)
                acme.say(name, "answer", thread_ts=parent, hours_ago=0.01)
            acme.sync()
        unseen = {row for row in acme.shown() if row[0] == acme.channels["c0"] and row[2] not in (None, row[1])}
        assert acme.shown() - acme.held() <= unseen
        assert len(acme.shown() - acme.held()) == 4

    def test_keeps_the_ledger_of_its_last_complete_read(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        parent = acme.say("general", "question", hours_ago=5)
        first = acme.say("general", "one", thread_ts=parent, hours_ago=4)
        acme.reads()
        second = acme.say("general", "two", thread_ts=parent, hours_ago=1)
        acme.fault("error", error="fatal_error", method="conversations.replies", times=-1)
        acme.order("react", channel="general", ts=parent, name="eyes")
        acme.sync()
        row = acme.rows[parent]
        assert (row.reply_count, row.latest_reply, row.raw["reply_count"]) == (1, first, 2)
        acme.heal()
        acme.reads()
        assert (acme.rows[parent].reply_count, acme.rows[parent].latest_reply) == (2, second)
        assert second in acme.rows

    @pytest.mark.parametrize("later", [timedelta(0), HOUR, 40 * DAY], ids=str)
    def test_once_is_read_by_a_later_sync_wherever_it_stands(self, bench: Bench, later: timedelta) -> None:
        acme = bench.workspace("acme", "general", page_cap=50)
        parent = acme.say("general", "old question", hours_ago=20 * 24)
        for hours in (3, 2, 1):
            acme.say("general", "answer", thread_ts=parent, hours_ago=19 * 24 + hours)
        acme.fault("error", error="thread_not_found", method="conversations.replies", channel="general")
        assert acme.sync().status == "partial"
        assert set(acme.rows) == {parent}
        bench.clock.advance(later)
        since = bench.requests()
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.calls(since=since)["conversations.replies"] == 1
        assert acme.unreadable == {}

    def test_keeps_the_pages_that_were_read(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=4)
        parent = acme.say("general", "question", hours_ago=9)
        for hours in range(8, 0, -1):
            acme.say("general", "answer", thread_ts=parent, hours_ago=hours)
        acme.fault("error", error="brand_new_code", method="conversations.replies", only_with_cursor=True)
        acme.sync()
        assert len(acme.rows) == 1 + 3
        acme.reads()
        assert acme.held() == acme.shown()

    def test_is_forgotten_with_its_parent(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        parent = acme.say("general", "question", hours_ago=5)
        reply = acme.say("general", "answer", thread_ts=parent, hours_ago=4)
        acme.fault("error", error="brand_new_code", method="conversations.replies", part=parent)
        acme.sync()
        for ts in (reply, parent):
            acme.order("delete", channel="general", ts=ts)
        acme.reads()
        assert (acme.unreadable, acme.living) == ({}, {})

    @pytest.mark.parametrize("every", [2, 3])
    def test_every_second_time_for_long_costs_none_of_what_was_read(self, bench: Bench, every: int) -> None:
        acme = bench.workspace("acme", world={"channels": 2, "messages": 40, "threads": 30, "replies": 2})
        acme.fault("error", error="brand_new_code", method="conversations.replies", times=-1, every=every)
        missing = [len(acme.shown())]
        for _ in range(12):
            acme.sync()
            missing.append(len(acme.shown() - acme.held()))
            if not missing[-1]:
                break
        assert missing[1] < missing[0] / 2
        assert missing[-1] == 0


class TestAProfileThatIsRefused:
    @pytest.fixture
    def acme(self, bench: Bench) -> Workspace:
        """A workspace to which a guest wrote, whom the list of people does not name."""
        made = bench.workspace("acme", "general")
        made.order("user", id="U0GUEST", name="gus", real_name="Gus Guest", listed=False)
        return made

    @staticmethod
    def says(acme: Workspace, text: str, **fields: Any) -> str:
        profile = {"display_name": "Gus of Globex", "real_name": "Gus Guest"}
        return acme.say("general", text, user="U0GUEST", extra={"user_profile": profile}, **fields)

    @pytest.mark.parametrize("refusal", SOME, ids=str)
    def test_costs_no_message_and_is_asked_again(self, acme: Workspace, refusal: dict[str, Any]) -> None:
        first = self.says(acme, "hello", hours_ago=2)
        acme.fault(method="users.info", part="U0GUEST", times=-1, **refusal)
        for _ in range(3):
            since = acme.bench.requests()
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active"), result.reason
            assert "profile of U0GUEST" in str(result.reason)
            assert acme.held() == acme.shown()
            self.says(acme, "hello again")
        assert acme.calls(since=since)["users.info"] <= 2
        assert acme.rows[first].author_name == "Gus of Globex"
        acme.heal()
        acme.reads()
        assert self.names(acme)["U0GUEST"] == "gus"

    @staticmethod
    def names(acme: Workspace) -> dict[str, str]:
        return {row.external_id: row.name for row in acme.stored(SlackUser.table)}

    def test_as_not_visible_is_named_by_its_messages_and_asked_again_the_next_day(self, acme: Workspace) -> None:
        ts = self.says(acme, "hello", hours_ago=2)
        acme.fault("error", error="user_not_visible", method="users.info")
        acme.reads()
        assert self.names(acme)["U0GUEST"] == acme.rows[ts].author_name == "Gus of Globex"
        self.says(acme, "an hour later")
        acme.reads()
        assert acme.calls()["users.info"] == 1
        acme.bench.clock.advance(DAY)
        self.says(acme, "a day later")
        acme.reads()
        assert (acme.calls()["users.info"], self.names(acme)["U0GUEST"]) == (2, "gus")

    def test_once_it_is_known_names_the_person_in_what_was_said_before(self, acme: Workspace) -> None:
        ts = acme.say("general", "ask <@U0GUEST>", hours_ago=2)
        acme.fault("error", error="user_not_visible", method="users.info")
        acme.reads()
        assert acme.rows[ts].text == "ask @U0GUEST"
        assert acme.reads().counts.changed == 0
        acme.bench.clock.advance(DAY)
        assert acme.reads().counts.changed == 1
        assert acme.rows[ts].text == "ask @gus"
        assert acme.reads().counts.changed == 0

    def test_is_renewed_weekly_once_a_guest_speaks(self, acme: Workspace) -> None:
        self.says(acme, "hello", hours_ago=2)
        acme.reads()
        acme.order("user", id="U0GUEST", name="gustav", real_name="Gus Guest", listed=False)
        for days in (1, 5):
            acme.bench.clock.advance(days * DAY)
            self.says(acme, "hello")
            acme.reads()
        assert (acme.calls()["users.info"], self.names(acme)["U0GUEST"]) == (1, "gus")
        acme.bench.clock.advance(2 * DAY)
        acme.reads()
        assert (acme.calls()["users.info"], self.names(acme)["U0GUEST"]) == (2, "gustav")

    def test_keeps_the_name_that_was_known_before(self, acme: Workspace) -> None:
        self.says(acme, "hello", hours_ago=2)
        acme.reads()
        acme.bench.clock.advance(8 * DAY)
        self.says(acme, "hello")
        acme.fault("error", error="user_not_visible", method="users.info")
        acme.reads()
        assert self.names(acme)["U0GUEST"] == "gus"

    @pytest.mark.parametrize("odd", ["<@>", "<@|ann>", "<@ U1>", "<@alice>"])
    def test_is_not_asked_for_without_an_id(self, acme: Workspace, odd: str) -> None:
        ts = acme.say("general", "x", extra={"text": odd, "blocks": [], "user": ""}, hours_ago=1)
        block = {"type": "rich_text_section", "elements": [{"type": "user", "user_id": ""}]}
        acme.say("general", "x", extra={"blocks": [{"type": "rich_text", "elements": [block]}]}, hours_ago=1)
        acme.reads()
        assert "users.info" not in acme.calls()
        assert acme.rows[ts].author_id is None

    def test_of_everybody_costs_no_message(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        acme.say_many("general", 5)
        acme.fault("error", error="brand_new_code", method="users.list", times=-1)
        for _ in range(3):
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active")
            assert "the list of people" in str(result.reason)
        assert acme.held() == acme.shown()
        assert acme.calls()["users.list"] == 3
        acme.heal()
        acme.reads()


class TestAChannelThatWasRead:
    @pytest.fixture
    def acme(self, bench: Bench) -> Workspace:
        made = bench.workspace("acme", "general", "deal-room")
        talk(made, ["general", "deal-room"])
        made.reads()
        made.say("deal-room", "last words")
        made.order("membership", channel="deal-room", member=False)
        return made

    def test_and_is_gone_is_told_until_it_is_listed_again(self, acme: Workspace) -> None:
        for _ in range(2):
            result = acme.sync()
            assert result.status == "partial"
            assert str(result.reason).startswith("no longer in #deal-room since ")
            assert acme.account.state == "active"
            acme.bench.clock.advance(HOUR)
        since = [row.since for row in acme.unreadable.values()]
        assert acme.bench.clock.now() - since[0] > 2 * HOUR
        acme.order("membership", channel="deal-room", member=True)
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.unreadable == {}

    def test_and_is_gone_is_told_until_an_operator_says_that_this_is_known(self, acme: Workspace) -> None:
        acme.sync()
        with acme.bench.engine.begin() as conn:
            acknowledge(conn, acme.account.account_id, [acme.channels["deal-room"]], acme.bench.clock.now())
        acme.reads()
        acme.order("membership", channel="deal-room", member=True)
        acme.reads()
        acme.order("membership", channel="deal-room", member=False)
        assert acme.sync().status == "partial"

    def test_and_is_gone_costs_no_request(self, acme: Workspace) -> None:
        since = acme.bench.requests()
        acme.sync()
        assert acme.calls(since=since) == {"users.conversations": 1, "conversations.history": 1}

    def test_and_is_gone_though_it_was_chosen_is_told_once(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "deal-room", settings={"channels": ["general", "deal-room"]})
        acme.reads()
        acme.order("membership", channel="deal-room", member=False)
        assert str(acme.sync().reason).startswith("no longer in #deal-room since ")
        assert len(acme.unreadable) == 1

    def test_and_is_not_chosen_any_more_is_not_missed(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "deal-room")
        acme.reads()
        bench.connect(acme, channels=["general"])
        acme.order("membership", channel="deal-room", member=False)
        acme.reads()

    def test_and_is_private_is_not_missed_where_private_ones_are_left_alone(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", {"name": "secret", "private": True})
        acme.reads()
        bench.connect(acme, public_only=True)
        acme.reads()


class TestAThreadOlderThanTheWatchWindow:
    def test_is_read_when_a_broadcast_tells_of_it(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        parent = acme.say("general", "old question", hours_ago=20 * 24)
        acme.say("general", "answer", thread_ts=parent, hours_ago=19 * 24)
        acme.reads()
        bench.clock.advance(20 * DAY)
        quiet = acme.say("general", "quiet", thread_ts=parent, hours_ago=2)
        loud = [acme.say("general", "loud", thread_ts=parent, broadcast=True, hours_ago=1) for _ in range(2)]
        since = bench.requests()
        acme.reads()
        assert {quiet, *loud} <= set(acme.rows)
        assert acme.held() == acme.shown()
        assert acme.calls(since=since)["conversations.replies"] == 1
        since = bench.requests()
        acme.reads()
        assert "conversations.replies" not in acme.calls(since=since)

    def test_and_than_all_that_was_read_is_read_whole_unless_the_account_wants_less(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        globex = bench.workspace("globex", "general", settings={"last_hours": 24})
        for workspace in (acme, globex):
            parent = workspace.say("general", "old question", hours_ago=60 * 24)
            workspace.say("general", "quiet", thread_ts=parent, hours_ago=2)
            workspace.say("general", "loud", thread_ts=parent, broadcast=True, hours_ago=1)
            workspace.reads()
        assert acme.held() == acme.shown()
        assert len(globex.rows) == 1
        since = bench.requests()
        acme.reads()
        assert "conversations.replies" not in acme.calls(since=since)

    def test_that_is_refused_is_asked_again(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        parent = acme.say("general", "old question", hours_ago=60 * 24)
        acme.say("general", "loud", thread_ts=parent, broadcast=True, hours_ago=1)
        acme.say("general", "quiet", thread_ts=parent, hours_ago=0.5)
        acme.fault("error", error="brand_new_code", method="conversations.replies")
        assert acme.sync().status == "partial"
        acme.reads()
        assert acme.held() == acme.shown()


class TestAFirstSyncThatWasInterrupted:
    @pytest.mark.parametrize("hours_ago", [2, 10 * 24])
    def test_is_looked_at_again_before_a_success(self, bench: Bench, hours_ago: int) -> None:
        acme = bench.workspace("acme", "general", page_cap=5)
        said = acme.say_many("general", 40, hours_ago=hours_ago)
        acme.fault("status", method="conversations.history", times=-1, skip=4)
        acme.sync()
        read = sorted(acme.rows)
        assert 0 < len(read) < len(said)
        acme.heal()
        acme.order("edit", channel="general", ts=read[0], text="changed meanwhile")
        acme.order("delete", channel="general", ts=read[1])
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.rows[read[0]].text == "changed meanwhile"

    def test_by_its_time_limit_is_looked_at_again_before_a_success(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=5)
        acme.say_many("general", 40, hours_ago=2)
        while not acme.rows:
            acme.sync(sync_minutes=1e-9)
        changed = max(acme.rows)
        acme.order("edit", channel="general", ts=changed, text="changed meanwhile")
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.rows[changed].text == "changed meanwhile"


class TestAClockThatIsWrong:
    @pytest.mark.parametrize("limited", [False, True])
    @pytest.mark.parametrize("by", [timedelta(minutes=10), 5 * DAY, timedelta(minutes=-10), -5 * DAY], ids=str)
    def test_heals_with_the_first_sync_after_it(self, bench: Bench, by: timedelta, limited: bool) -> None:
        settings = {"app_class": "limited" if limited else "internal"}
        acme = bench.workspace("acme", "general", settings=settings)
        acme.say_many("general", 3, hours_ago=6 * 24)
        acme.say_many("general", 3, hours_ago=1)
        acme.say("general", "within ten minutes", hours_ago=0.1)
        bench.clock.go_wrong(by)
        acme.reads()
        bench.clock.go_wrong(-by)
        bench.clock.advance(timedelta(minutes=2))
        in_the_gap = acme.say("general", "in the gap")
        bench.clock.advance(2 * DAY)
        acme.say("general", "later")
        acme.reads()
        assert in_the_gap in acme.rows
        assert acme.held() == acme.shown()

    @pytest.mark.parametrize("by", [timedelta(minutes=10), 5 * DAY, timedelta(minutes=-10), -5 * DAY], ids=str)
    def test_reads_all_that_is_there_and_asks_for_no_range_from_later_to_earlier(
        self, bench: Bench, by: timedelta
    ) -> None:
        acme = bench.workspace("acme", "general")
        acme.say_many("general", 3, hours_ago=2)
        acme.reads()
        bench.clock.advance(timedelta(minutes=2))
        new = acme.say("general", "new", hours_ago=0.01)
        bench.clock.go_wrong(by)
        acme.reads()
        assert new in acme.rows
        for request in acme.requests("conversations.history"):
            assert request["params"]["oldest"] <= request["params"]["latest"]

    @pytest.mark.parametrize("ahead", [10 * HOUR, 5 * DAY], ids=str)
    def test_and_had_written_a_cursor_heals_too(self, bench: Bench, ahead: timedelta) -> None:
        acme = bench.workspace("acme", "general", settings={"app_class": "limited"})
        acme.say_many("general", 3, hours_ago=6 * 24)
        acme.reads()
        future = bench.clock.now() + ahead
        bench.execute(
            "update ingest.sync_cursors set cursor = cursor || jsonb_build_object('covered_to', cast(:ts as text),"
            " 'threads_at', cast(:at as text), 'reread_at', (select jsonb_object_agg(key, cast(:at as text)) from"
            " jsonb_each(cursor->'reread_at'))) where stream <> ''",
            ts=f"{future.timestamp():.6f}",
            at=future.isoformat(),
        )
        bench.clock.advance(4 * HOUR)
        missed = acme.say("general", "missed", hours_ago=3)
        acme.reads()
        assert missed in acme.rows
        covered = acme.cursors[acme.channels["general"]]["covered_to"]
        assert float(covered) <= bench.clock.now().timestamp()
