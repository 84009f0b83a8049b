"""What opens an incident, what it covers, what makes it worse, and what ends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ingest_assets.incidents.settings import AlertSettings
from tests.incidents.crowd import Crowd

OPENED = ("vendor_down", "opened", 1)


@pytest.fixture
def crowd(engine: Engine) -> Crowd:
    return Crowd(engine)


def names(count: int) -> list[str]:
    return [f"w{number:05}" for number in range(count)]


def outage(crowd: Crowd, count: int, tried: int = 10) -> list[str]:
    """Let a vendor go down: a few workspaces fail, all others become due and wait."""
    everybody = names(count)
    crowd.join(*everybody)
    crowd.look()
    crowd.passes(15)
    crowd.fails(*everybody[:tried])
    crowd.sql("update ingest.accounts set due_at = :now where due_at is null")
    return everybody


class TestAVendorIsDown:
    def test_for_500_workspaces_that_is_one_message_and_one_recovery(self, crowd: Crowd) -> None:
        everybody = outage(crowd, 500)
        crowd.passes(14)
        assert crowd.told() == []  # it may pass
        crowd.passes(3)
        assert crowd.open() == {("vendor_down", "slack"): 500}
        assert crowd.told() == [OPENED]
        crowd.sends()
        crowd.passes(180)  # all become stale meanwhile, by no other cause
        assert crowd.open() == {("vendor_down", "slack"): 500}
        assert crowd.told() == [OPENED]
        crowd.reads(everybody[20])  # the one that tries each minute
        crowd.passes(7)
        assert crowd.open() == {}
        assert crowd.told() == [OPENED, ("vendor_down", "recovered", 1)]
        crowd.reads(*everybody[10:])  # the next batch
        crowd.passes(15)
        crowd.reads()  # those that failed, after their backoff
        crowd.passes(60)
        assert crowd.told() == [OPENED, ("vendor_down", "recovered", 1)]

    def test_that_comes_and_goes_stays_one_incident(self, crowd: Crowd) -> None:
        everybody = outage(crowd, 30)
        for _ in range(20):
            crowd.passes(3)
            crowd.reads()
            crowd.passes(2)
            crowd.fails(*everybody[:10])
        crowd.sends()
        assert crowd.told() == [OPENED]
        crowd.reads()
        crowd.passes(10)
        assert crowd.told() == [OPENED, ("vendor_down", "recovered", 1)]

    def test_a_hiccup_is_told_to_nobody(self, crowd: Crowd) -> None:
        outage(crowd, 30)
        crowd.passes(5)
        crowd.reads()
        crowd.passes(30)
        assert crowd.told() == []
        assert crowd.rows("select * from ingest.incidents") == []

    def test_a_few_that_fail_by_themselves_are_not_the_vendor(self, crowd: Crowd) -> None:
        everybody = names(40)
        crowd.join(*everybody)
        crowd.look()
        for _ in range(30):
            crowd.fails(*everybody[:12])
            crowd.passes(1)
            crowd.reads(*everybody[12:])  # the others are read all the while
        assert crowd.open() == {}

    def test_one_of_one_workspace_is_enough(self, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()
        crowd.passes(1)
        crowd.fails("acme")
        crowd.passes(20)
        assert crowd.open() == {("vendor_down", "slack"): 1}

    def test_it_becomes_worse_once_when_it_lasts(self, crowd: Crowd) -> None:
        outage(crowd, 20)
        crowd.passes(20)
        crowd.sends()
        crowd.passes(4 * 60 + 5)
        assert crowd.told() == [OPENED, ("vendor_down", "escalated", 2)]
        crowd.sends()
        crowd.passes(10 * 60)
        assert crowd.told() == [OPENED, ("vendor_down", "escalated", 2)]


class TestALoginIsRefused:
    def test_it_is_told_at_once_and_is_nothing_else_besides(self, crowd: Crowd) -> None:
        crowd.join("acme", "globex")
        crowd.look()
        crowd.fails("acme", kind="credential_rejected", state="needs_reconnect")
        crowd.passes(1)
        assert crowd.told() == [("login_refused", "opened", 1)]
        for _ in range(20):
            crowd.passes(30)
            crowd.reads("globex")
        assert crowd.open() == {("login_refused", "slack"): 1}

    def test_a_second_customer_is_told_too_but_not_each_by_itself(self, crowd: Crowd) -> None:
        crowd.alerts = AlertSettings(escalate_hours=1000)
        crowd.join(*names(6))
        crowd.look()
        for name in names(6):
            crowd.fails(name, kind="credential_rejected", state="needs_reconnect")
            crowd.passes(5)
            crowd.sends()
        crowd.passes(60)
        assert crowd.told() == [("login_refused", "opened", 1), ("login_refused", "escalated", 2)]
        crowd.passes(120)
        assert len(crowd.told()) == 2

    def test_10000_at_once_are_one_message(self, crowd: Crowd) -> None:
        crowd.join(*names(10_000))
        crowd.look()
        crowd.fails(*names(10_000), kind="credential_rejected", state="needs_reconnect")
        crowd.passes(2)
        crowd.sends()
        crowd.passes(90)
        assert crowd.open() == {("login_refused", "slack"): 10_000}
        assert crowd.told() == [("login_refused", "opened", 1)]

    def test_ten_times_as_many_are_worse(self, crowd: Crowd) -> None:
        crowd.join(*names(40))
        crowd.look()
        crowd.fails(*names(2), kind="credential_rejected", state="needs_reconnect")
        crowd.passes(2)
        crowd.sends()
        crowd.fails(*names(30), kind="credential_rejected", state="needs_reconnect")
        crowd.passes(2)
        assert crowd.told() == [("login_refused", "opened", 1), ("login_refused", "escalated", 2)]


class TestOtherCauses:
    @pytest.mark.parametrize(
        ("kind", "state", "cause"),
        [
            ("quota_spent", "active", "quota_spent"),
            ("unexpected_response", "failing", "unexpected_answer"),
            ("rejected_share", "failing", "rejected_share"),
            ("answer_too_large", "failing", "unexpected_answer"),
        ],
    )
    def test_what_a_sync_fails_with_tells_the_cause(self, kind: str, state: str, cause: str, crowd: Crowd) -> None:
        crowd.join("acme", "globex")
        crowd.look()
        crowd.fails("acme", kind=kind, state=state)
        crowd.passes(20)
        assert crowd.open() == {(cause, "slack"): 1}

    def test_stale_is_who_is_not_read_for_no_other_cause(self, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()
        crowd.passes(150 + 14)
        assert crowd.open() == {}
        crowd.passes(3)
        assert crowd.open() == {("stale", "slack"): 1}
        crowd.reads()
        crowd.passes(6)
        assert crowd.open() == {}

    def test_a_worker_that_died_and_that_nobody_follows(self, crowd: Crowd) -> None:
        crowd.join("acme", "globex")
        crowd.look()
        crowd.sql(
            "update ingest.accounts set lease_owner = 'run', lease_until = cast(:now as timestamptz)"
            " where workspace_id = 'acme'"
        )
        crowd.passes(10)
        assert crowd.open() == {}
        crowd.passes(6)
        assert crowd.open() == {("dead_worker", "slack"): 1}

    def test_a_part_that_is_lost_until_somebody_acknowledges_it(self, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()
        crowd.sql(
            "insert into ingest.unreadable_parts (account_id, part, workspace_id, name, code, since, attempts,"
            " last_tried_at) select account_id, 'C1', workspace_id, '#general', 'not_in_channel', :now, 2, :now"
            " from ingest.accounts"
        )
        crowd.passes(16)
        assert crowd.open() == {("part_lost", "slack"): 1}
        crowd.sql("update ingest.unreadable_parts set acknowledged_at = :now")
        crowd.passes(6)
        assert crowd.open() == {}

    def test_too_many_rejected_items(self, crowd: Crowd) -> None:
        crowd.join("acme", "globex")
        crowd.look()
        for workspace, stored in (("acme", 10), ("globex", 200)):
            crowd.sql(
                "insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload,"
                " error, first_seen_at)"
                " select account_id, 'slack_messages', n::text, workspace_id, '{}', 'x', :now"
                " from ingest.accounts, generate_series(1, 5) n where workspace_id = :workspace",
                workspace=workspace,
            )
            crowd.sql(
                "insert into raw.slack_messages (workspace_id, account_id, external_id, conversation_id,"
                " occurred_at, channel_id, ts, in_channel, raw, content_hash)"
                " select workspace_id, account_id, n::text, 'C1', :now, 'C1', n::text, true, '{}', ''"
                " from ingest.accounts, generate_series(1, :stored) n where workspace_id = :workspace",
                workspace=workspace,
                stored=stored,
            )
        crowd.passes(16)
        assert crowd.rows("select workspaces from ingest.incidents")[0].workspaces == ["acme"]

    def test_the_model_refuses_until_it_answers(self, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()

        def stops(outcome: str) -> None:
            crowd.sql(
                "insert into features.model_requests (workspace_id, source, owner, outcome, made_at, wait_until)"
                " values ('acme', 'gong', 'run', :outcome, :now,"
                " cast(:now as timestamptz) + interval '15 minutes')",
                outcome=outcome,
            )

        stops("refused")
        crowd.passes(1)
        assert crowd.open() == {("model_refused", "model"): 1}
        crowd.passes(15)
        stops("refused")  # it is asked again every 15 minutes
        crowd.passes(15)
        assert crowd.told() == [("model_refused", "opened", 1)]
        crowd.sql(
            "insert into features.model_requests (workspace_id, source, owner, outcome, made_at)"
            " values ('acme', 'gong', 'run', 'answered', :now)"
        )
        crowd.passes(6)
        assert crowd.open() == {}

    @pytest.mark.parametrize(
        ("outcome", "cause"),
        [
            ("no quota", "model_refused"),
            ("budget spent", "quota_spent"),
            ("down", "model_down"),
            ("partial", None),
        ],
    )
    def test_a_run_of_the_model_that_had_to_stop(self, outcome: str, cause: str | None, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()
        for _ in range(20):
            crowd.sql(
                "insert into features.model_requests (workspace_id, source, owner, outcome, made_at, wait_until)"
                " values ('acme', 'gong', 'run', :outcome, :now, cast(:now as timestamptz) + interval '1 minute')",
                outcome=outcome,
            )
            crowd.passes(1)
        assert crowd.open() == ({(cause, "model"): 1} if cause else {})

    def test_paused_disconnected_and_removed_workspaces_are_nobodys_trouble(self, crowd: Crowd) -> None:
        crowd.join("acme", "globex")
        crowd.look()
        crowd.fails("acme", state="paused")
        crowd.fails("globex", state="disconnected")
        crowd.passes(400)
        assert crowd.open() == {}


class TestNobodyWatched:
    def test_it_is_told_afterwards_and_what_became_stale_meanwhile_is_not(self, crowd: Crowd) -> None:
        crowd.join(*names(50))
        crowd.look()
        crowd.passes(600, watched=False)
        crowd.look()
        crowd.sends()
        assert crowd.open() == {("database", ""): 0}
        [row] = crowd.rows("select since, seen_at from ingest.incidents where cause = 'database'")
        assert row.seen_at - row.since == timedelta(minutes=600)
        crowd.passes(10)
        crowd.reads()
        crowd.passes(30)
        assert crowd.told() == [("database", "opened", 1), ("database", "recovered", 1)]

    def test_the_first_look_of_all_is_no_gap(self, crowd: Crowd) -> None:
        crowd.look()
        assert crowd.open() == {}


class TestToldOnce:
    def test_looks_at_the_same_time_open_one_incident(self, crowd: Crowd) -> None:
        crowd.join(*names(20))
        crowd.fails(*names(20), kind="credential_rejected", state="needs_reconnect")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: crowd.look(), range(24)))
        assert crowd.told() == [("login_refused", "opened", 1)]

    def test_an_opening_that_reached_nobody_has_no_recovery(self, crowd: Crowd) -> None:
        outage(crowd, 20)
        crowd.passes(20)
        crowd.reads()
        crowd.passes(10)
        assert crowd.told() == []
        [message] = crowd.rows("select kind, dropped_at from ingest.incident_messages")
        assert message.kind == "opened"
        assert message.dropped_at is not None

    def test_a_receiver_that_is_set_later_is_told_what_is_open(self, crowd: Crowd) -> None:
        crowd.receivers = []
        outage(crowd, 20)
        crowd.passes(20)
        assert crowd.told() == []
        crowd.receivers = ["slack", "mail"]
        crowd.passes(3)
        assert crowd.told() == [OPENED, OPENED]

    def test_it_opens_anew_after_it_ended(self, crowd: Crowd) -> None:
        crowd.join("acme")
        crowd.look()
        for _ in range(2):
            crowd.fails("acme", kind="credential_rejected", state="needs_reconnect")
            crowd.passes(1)
            crowd.sends()
            crowd.reads("acme")
            crowd.passes(10)
        assert [kind for _, kind, _ in crowd.told()] == ["opened", "recovered"] * 2
