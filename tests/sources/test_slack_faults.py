"""What Slack and the network do wrong, and what becomes of the account."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ingest_assets.errors import CredentialRejected, Transient, UnexpectedResponse
from ingest_assets.sources.slack import SLACK
from ingest_assets.sync.account import sync
from tests.workbench import MESSAGES, Bench, Workspace

MINUTE = timedelta(minutes=1)
PATIENCE = 120  # seconds that a sync waits for one request


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    """A connected workspace with something to read."""
    made = bench.workspace("acme", "general")
    parent = made.say("general", "question", hours_ago=3)
    made.say("general", "answer", thread_ts=parent, hours_ago=2)
    made.say_many("general", 8)
    return made


def wait_after(workspace: Workspace) -> timedelta:
    """How long the account waits before its next attempt."""
    due: datetime | None = workspace.account.due_at
    assert due is not None
    return due - workspace.bench.clock.now()


class TestARequestToSlowDown:
    @pytest.mark.parametrize("seconds", [1, 60])
    def test_is_obeyed_within_the_sync(self, acme: Workspace, seconds: int) -> None:
        acme.fault("ratelimit", method="conversations.history", retry_after=seconds)
        acme.reads()
        assert acme.bench.clock.pauses == [seconds]
        assert acme.held() == acme.shown()

    def test_for_twenty_minutes_holds_no_worker(self, acme: Workspace) -> None:
        acme.fault("ratelimit", method="conversations.history", retry_after=1200)
        result = acme.sync()
        assert (result.status, type(result.error)) == ("failed", Transient)
        assert acme.bench.clock.pauses == []
        assert acme.account.state == "active"
        assert wait_after(acme) > 20 * MINUTE - timedelta(seconds=5)
        assert acme.calls()["conversations.history"] == 1

    def test_again_and_again_is_waited_for_two_minutes_at_most(self, acme: Workspace) -> None:
        acme.fault("ratelimit", method="conversations.history", retry_after=50, times=-1)
        assert acme.sync().status == "partial"
        assert acme.unreadable["general"].code == "ratelimited"
        assert sum(acme.bench.clock.pauses) <= PATIENCE

    def test_holds_all_requests_of_the_method_and_of_no_other(self, bench: Bench) -> None:
        bench.choose(concurrency=4)
        acme = bench.workspace("acme", "general", "random")
        for name, threads in (("general", 40), ("random", 0)):
            for place in range(threads):
                parent = acme.say(name, f"question {place}", hours_ago=3)
                acme.say(name, "answer", thread_ts=parent, hours_ago=2)
        acme.fault("ratelimit", method="conversations.replies", retry_after=20, skip=3)
        acme.reads()
        assert acme.held() == acme.shown()
        requests = acme.requests("conversations.replies")
        told = next(request for request in requests if request["status"] == 429)
        within = [request for request in requests if 0 < request["at"] - told["at"] < 19]
        assert len(within) < bench.options.concurrency

    def test_for_twenty_minutes_of_one_method_leaves_the_others_at_work(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", *(f"c{number}" for number in range(6)))
        parent = acme.say("general", "question", hours_ago=3)
        acme.say("general", "answer", thread_ts=parent, hours_ago=2)
        said = [acme.say_many(f"c{number}", 3) for number in range(6)]
        acme.fault("ratelimit", method="conversations.replies", retry_after=1200)
        assert acme.sync().status == "partial"
        assert {ts for channel in said for ts in channel} <= set(acme.rows)

    def test_for_twenty_minutes_in_the_middle_keeps_what_was_read(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        for place in range(10):
            parent = acme.say("general", f"question {place}", hours_ago=3)
            acme.say("general", "answer", thread_ts=parent, hours_ago=2)
        alone = acme.say_many("general", 5)
        acme.fault("ratelimit", method="conversations.replies", retry_after=1200, times=-1, every=4)
        bench.choose(concurrency=1)
        held = 0
        for _ in range(12):
            result = acme.sync()
            assert len(acme.rows) > held or result.status == "success"
            held = len(acme.rows)
            assert set(alone) <= set(acme.rows)
            bench.clock.advance(timedelta(hours=1))
        assert acme.held() == acme.shown()

    def test_while_connecting_is_a_sentence(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        bench.order("fault", kind="ratelimit", retry_after=1200, times=-1)
        with pytest.raises(Transient, match="slow down"):
            bench.connect(acme)


class TestATroubleOfTheMoment:
    @pytest.mark.parametrize("method", ["users.list", "conversations.history", "conversations.replies"])
    @pytest.mark.parametrize("kind", ["status", "drop", "truncate", "html"])
    def test_is_survived_within_the_sync(self, acme: Workspace, kind: str, method: str) -> None:
        acme.fault(kind, method=method, times=2)
        acme.reads()
        assert acme.held() == acme.shown()
        assert acme.account.attempts == 0

    @pytest.mark.parametrize("kind", ["status", "drop", "truncate", "html"])
    def test_that_does_not_end_is_told_of_the_channel_and_retried_later(self, acme: Workspace, kind: str) -> None:
        acme.fault(kind, method="conversations.history", times=-1)
        assert acme.sync().status == "partial"
        assert (acme.account.state, acme.account.attempts) == ("active", 0)
        assert acme.calls()["conversations.history"] <= 5
        assert sum(acme.bench.clock.pauses) <= PATIENCE
        since = acme.bench.requests()
        assert acme.sync().status == "partial"
        assert acme.calls(since=since)["conversations.history"] == 1
        acme.heal()
        acme.reads()
        assert acme.held() == acme.shown()

    @pytest.mark.parametrize("kind", ["status", "drop", "truncate", "html"])
    def test_of_the_channels_list_fails_the_sync_and_is_retried_later(self, acme: Workspace, kind: str) -> None:
        acme.fault(kind, method="users.conversations", times=-1)
        result = acme.sync()
        assert (result.status, type(result.error)) == ("failed", Transient)
        assert (acme.account.state, acme.account.attempts) == ("active", 1)
        assert acme.account.reason == result.reason

    def test_is_retried_after_5_10_and_20_minutes_and_then_with_the_schedule(self, acme: Workspace) -> None:
        acme.fault("status", status=503, times=-1)
        for attempt, minutes in enumerate((5, 10, 20), start=1):
            acme.sync()
            assert (acme.account.state, acme.account.attempts) == ("active", attempt)
            assert 0.79 * minutes * MINUTE < wait_after(acme) < 1.21 * minutes * MINUTE
        acme.sync()
        account = acme.account
        assert (account.state, account.attempts, account.due_at) == ("failing", 4, None)

    def test_is_forgotten_after_a_success(self, acme: Workspace) -> None:
        acme.fault("status", status=503, method="users.conversations", times=20)
        for _ in range(4):
            acme.sync()
        assert acme.account.state == "failing"
        acme.reads()
        account = acme.account
        assert (account.state, account.attempts, account.due_at, account.reason) == (
            "active",
            0,
            None,
            None,
        )
        assert account.last_success_at is not None
        assert acme.held() == acme.shown()

    def test_in_the_middle_keeps_what_had_arrived(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=5)
        acme.say_many("general", 40, hours_ago=2)
        acme.fault("status", method="conversations.history", times=-1, skip=4)
        assert acme.sync().status == "partial"
        assert len(acme.rows) == 20
        acme.heal()
        since = bench.requests()
        acme.reads()
        assert acme.held() == acme.shown()
        new, missing, looked_at_again = 1, 5, 5
        assert acme.calls(since=since)["conversations.history"] <= new + missing + looked_at_again

    def test_in_the_middle_leaves_threads_and_channels_complete_in_the_end(self, bench: Bench) -> None:
        world = {"channels": 3, "messages": 30, "threads": 10, "replies": 4, "broadcasts": 3}
        acme = bench.workspace("acme", world=world, page_cap=7)
        acme.fault("status", times=-1, every=3)
        for _ in range(40):
            if acme.sync().status == "success":
                break
        assert acme.held() == acme.shown()


class TestEveryErrorCode:
    @pytest.mark.parametrize(
        "code", ["invalid_auth", "token_revoked", "account_inactive", "team_access_not_granted", "missing_scope"]
    )
    def test_about_the_login_asks_for_reconnection(self, acme: Workspace, code: str) -> None:
        acme.fault("error", error=code, times=-1)
        result = acme.sync()
        assert result.status == "failed"
        assert isinstance(result.error, CredentialRejected)
        account = acme.account
        assert (account.state, account.due_at) == ("needs_reconnect", None)
        assert code in account.reason
        assert "ingest-assets connect slack" in account.reason
        assert acme.history[-1].error_kind == "credential_rejected"

    @pytest.mark.parametrize("code", ["channel_not_found", "not_in_channel", "channel_is_limited_access"])
    def test_about_one_channel_skips_it(self, acme: Workspace, code: str) -> None:
        acme.fault("error", method="conversations.history", error=code, times=-1)
        result = acme.sync()
        assert (result.status, result.reason) == ("partial", f"not readable: general ({code})")
        assert acme.account.state == "active"

    def test_about_one_thread_skips_it(self, acme: Workspace) -> None:
        acme.fault("error", method="conversations.replies", error="thread_not_found", times=-1)
        result = acme.sync()
        assert result.status == "partial"
        assert "thread_not_found" in str(result.reason)
        acme.bench.sim.delete("/_sim/fault")
        acme.bench.clock.advance(timedelta(days=1))
        acme.reads()
        assert acme.held() == acme.shown()

    @pytest.mark.parametrize("code", ["user_not_found", "user_not_visible"])
    def test_about_one_user_leaves_the_id_in_the_text(self, acme: Workspace, code: str) -> None:
        ts = acme.say("general", "ask <@U0NOBODY>")
        acme.fault("error", method="users.info", error=code, times=-1)
        acme.reads()
        assert acme.rows[ts].text == "ask @U0NOBODY"

    @pytest.mark.parametrize("code", ["internal_error", "fatal_error", "service_unavailable", "request_timeout"])
    def test_about_slacks_own_trouble_is_retried(self, acme: Workspace, code: str) -> None:
        acme.fault("error", method="conversations.history", error=code, times=2)
        acme.reads()
        assert acme.held() == acme.shown()

    @pytest.mark.parametrize("code", ["invalid_arguments", "unknown_method", "limit_required", "brand_new_code"])
    def test_about_our_request_or_of_nobodys_is_for_a_developer(self, acme: Workspace, code: str) -> None:
        acme.fault("error", method="users.conversations", error=code, times=-1)
        result = acme.sync()
        assert isinstance(result.error, UnexpectedResponse)
        assert code in str(result.reason)
        assert (acme.account.state, acme.account.due_at) == ("failing", None)
        assert acme.calls()["users.conversations"] == 1

    @pytest.mark.parametrize("code", ["invalid_arguments", "unknown_method", "limit_required", "brand_new_code"])
    def test_of_a_channel_is_the_channels(self, acme: Workspace, code: str) -> None:
        acme.fault("error", method="conversations.history", error=code, times=-1)
        result = acme.sync()
        assert (result.status, result.reason) == ("partial", f"not readable: general ({code})")
        assert acme.account.state == "active"
        assert acme.calls()["conversations.history"] == 1

    @pytest.mark.parametrize("method", ["users.conversations", "conversations.history"])
    def test_that_is_no_code_is_never_quoted(self, acme: Workspace, method: str) -> None:
        acme.fault("error", method=method, error="Ann said: secret plans!", times=-1)
        result = acme.sync()
        assert result.status in {"failed", "partial"}
        assert "secret plans" not in f"{result!r} {acme.unreadable}"

    def test_of_a_dead_cursor_on_every_page_is_given_up(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", page_cap=2)
        acme.say_many("general", 10)
        acme.fault("invalid_cursor", method="conversations.history", times=-1)
        assert acme.sync().status == "partial"
        assert acme.calls()["conversations.history"] < 20

    def test_of_a_missing_scope_names_it_and_what_to_do(self, acme: Workspace) -> None:
        acme.order("token", scopes=["channels:read", "groups:read", "users:read"])
        acme.sync()
        told = acme.unreadable["general"].action
        assert "Add the scope channels:history under OAuth & Permissions and reinstall the app." in told
        acme.order("token", scopes=["channels:history"])
        result = acme.sync()
        assert isinstance(result.error, CredentialRejected)
        assert ":read under OAuth & Permissions and reinstall the app." in str(result.reason)

    def test_with_a_proxy_in_between_names_the_address_setting(self, acme: Workspace) -> None:
        acme.fault("html", status=404, times=-1)
        result = acme.sync()
        assert isinstance(result.error, UnexpectedResponse)
        assert "SLACK_API_URL" in str(result.reason)


class TestARevokedToken:
    def test_is_not_tried_again_by_a_schedule_until_the_account_is_connected(self, acme: Workspace) -> None:
        acme.reads()
        acme.order("token", revoked=True)
        assert isinstance(acme.sync().error, CredentialRejected)
        since = acme.bench.requests()
        scheduled = replace(acme.bench.worker(), reservation="a tick")
        result = sync(SLACK, acme.account, acme.bench.options, scheduled)
        assert (result.status, type(result.error)) == ("failed", CredentialRejected)
        assert "Connect the account with a login that works" in str(result.reason)
        assert acme.bench.requests() == since

    def test_is_healed_by_connecting_again_and_the_sync_goes_on_where_it_was(self, acme: Workspace) -> None:
        acme.reads()
        acme.order("token", revoked=True)
        acme.sync()
        before, account_id = acme.cursors, acme.account.account_id
        missed = acme.say("general", "while we were away")
        acme.token = f"{acme.token}-fresh"
        acme.order("token", token=acme.token)
        acme.bench.connect(acme)
        account = acme.account
        assert (account.account_id, account.state, account.attempts) == (account_id, "active", 0)
        assert acme.cursors == before
        assert acme.reads().counts.new == 1
        assert missed in acme.rows


class TestWhatMustStaySecret:
    CANARY = "CANARYTEXT"
    TROUBLES = (
        {"kind": "status", "status": 503},
        {"kind": "drop"},
        {"kind": "truncate"},
        {"kind": "html"},
        {"kind": "html", "status": 403},
        {"kind": "garbage_page"},
        {"kind": "error", "error": "token_revoked"},
        {"kind": "error", "error": "CANARYTEXT in an error"},
        {"kind": "ratelimit", "retry_after": 3000},
        {"kind": "repeat_cursor"},
    )

    @pytest.mark.parametrize("trouble", TROUBLES, ids=str)
    def test_is_in_no_log_no_reason_and_no_history(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, trouble: dict[str, object]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        acme = bench.workspace("acme", "general", page_cap=2)
        parent = acme.say("general", self.CANARY, hours_ago=2)
        acme.say("general", self.CANARY, thread_ts=parent, hours_ago=1)
        acme.say("general", self.CANARY, extra={"user": {"name": self.CANARY}})
        acme.say("general", self.CANARY, extra={"text": "", "attachments": [self.CANARY]})
        given = {
            name: str(value) if name == "error" else value for name, value in trouble.items() if name != "kind"
        }
        results = [acme.sync()]
        acme.order("edit", channel="general", ts=parent, text=f"{self.CANARY} edited")
        acme.fault(str(trouble["kind"]), method="conversations.history", times=-1, **given)
        results.append(acme.sync())
        logged = [f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records]
        told = [*logged, caplog.text, *map(repr, results), repr(acme.account.reason)]
        told += [repr(row) for row in acme.history]
        told += [row.error for row in acme.rejected]
        for secret in (acme.token, self.CANARY, bench.environ["INGEST_ENCRYPTION_KEYS"]):
            assert not [text for text in told if secret in text]

    def test_is_not_shown_by_a_database_that_refuses_a_row(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        acme = bench.workspace("acme", "general")
        acme.say("general", self.CANARY)
        bench.execute("alter table raw.slack_messages add constraint odd check (text not like 'CANARY%')")
        result = acme.reads()
        [refused] = acme.rejected
        told = f"{caplog.text} {result!r} {acme.account.reason} {acme.history} {refused.error}"
        assert self.CANARY not in told

    def test_is_not_stored_in_the_clear(self, acme: Workspace) -> None:
        assert acme.token not in repr(acme.account)

    def test_is_not_in_the_raw_rows(self, acme: Workspace) -> None:
        acme.reads()
        assert acme.token not in repr(acme.stored(MESSAGES))
