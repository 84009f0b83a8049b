"""One mail thread that Gmail cannot serve: told by name, asked again, and no fault of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.sources.client.http import LONGEST_ANSWER
from ingest_assets.sources.gmail.methods import METHODS
from ingest_assets.storage.schema import unreadable_parts
from ingest_assets.sync.account import sync
from ingest_assets.sync.result import SyncResult
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench

MANY = 120
STRANGERS_THREAD = {"id": "0123456789abcdef", "historyId": "1", "messages": []}
ANSWERS: Mapping[str, dict[str, Any]] = {
    "500": {"kind": "error", "status": 500, "error": "backendError"},
    "503": {"kind": "status", "status": 503},
    "400": {"kind": "error", "status": 400, "error": "invalidArgument"},
    "400 without a reason": {"kind": "html", "status": 400},
    "failedPrecondition": {"kind": "error", "status": 400, "error": "failedPrecondition"},
    "401": {"kind": "error", "status": 401, "error": "authError"},
    "403": {"kind": "error", "status": 403, "error": "forbidden"},
    "403 of an unknown reason": {"kind": "error", "status": 403, "error": "somethingNew"},
    "domainPolicy": {"kind": "error", "status": 403, "error": "domainPolicy"},
    "404": {"kind": "error", "status": 404, "error": "notFound"},
    "404 without a reason": {"kind": "html", "status": 404},
    "405": {"kind": "html", "status": 405},
    "410": {"kind": "error", "status": 410, "error": "deleted"},
    "429": {"kind": "ratelimit"},
    "userRateLimitExceeded": {"kind": "error", "status": 403, "error": "userRateLimitExceeded"},
    "dailyLimitExceeded": {"kind": "error", "status": 403, "error": "dailyLimitExceeded"},
    "a redirect": {"kind": "html", "status": 302},
    "HTML": {"kind": "html"},
    "text": {"kind": "json", "status": 200, "body": "oops"},
    "a list": {"kind": "json", "status": 200, "body": ["oops"]},
    "null": {"kind": "json", "status": 200, "body": None},
    "an empty object": {"kind": "json", "status": 200, "body": {}},
    "an error with HTTP 200": {"kind": "json", "status": 200, "body": {"error": {"code": 500}}},
    "another thread": {"kind": "json", "status": 200, "body": STRANGERS_THREAD},
    "nothing": {"kind": "raw", "body": ""},
    "a deep list": {"kind": "raw", "body": "[" * 3000},
    "half of it": {"kind": "truncate"},
    "no answer": {"kind": "missing"},
}
WHOLE: Mapping[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "400": {"kind": "error", "status": 400, "error": "badRequest"},
    "413": {"kind": "html", "status": 413},
    "HTML": {"kind": "html"},
    "a closed connection": {"kind": "drop"},
    "half of it": {"kind": "truncate"},
    "too much": {"kind": "gzip", "body": 200},
}


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


def filled(tenant: GmailTenant, count: int) -> list[str]:
    tenant.order("settings", page_cap=500)
    return [tenant.message(hours_ago=1 + place / 100)["thread"] for place in range(count)]


def scheduled(tenant: GmailTenant) -> SyncResult:
    """Sync as a schedule does, not as a person who does not want to wait."""
    worker = replace(tenant.bench.worker(), reservation="a tick")
    return sync(tenant.source, tenant.account, tenant.bench.app.options_of(tenant.source), worker)


class TestAThreadThatCannotBeRead:
    @pytest.mark.parametrize("answer", ANSWERS)
    def test_costs_no_other_thread_anything_and_comes_once_it_can(self, acme: GmailTenant, answer: str) -> None:
        sick, *healthy = filled(acme, MANY)
        acme.fault(**ANSWERS[answer], method="threads.get", part=sick, times=-1)
        for _ in range(3):
            result = acme.sync()
            assert acme.living == set(healthy)
            assert result.status == "partial"
            assert f"thread {sick} (" in str(result.reason)
            assert acme.account.state == "active"
        assert len(acme.stored(unreadable_parts)) == 1
        since = acme.bench.requests()
        new = acme.message()
        acme.calm()
        acme.reads()
        assert acme.living == {sick, *healthy, new["thread"]}
        assert not acme.stored(unreadable_parts)
        assert acme.calls(since) == {"history.list": 1, "batch": 2}  # what failed before is asked for apart

    @pytest.mark.parametrize("answer", ANSWERS)
    def test_costs_few_requests_and_no_time_of_the_others(self, acme: GmailTenant, answer: str) -> None:
        sick, *_healthy = filled(acme, MANY)
        acme.fault(**ANSWERS[answer], method="threads.get", part=sick, times=-1)
        first = sum(acme.sync().calls.values())
        assert first <= 4 + 3 + 6  # a list, three batches of fifty; one of them again
        again = acme.sync().calls
        assert sum(again.values()) <= 5
        assert sum(acme.bench.clock.pauses) <= 120

    def test_that_was_read_before_stays_as_it_was(self, acme: GmailTenant) -> None:
        sick = acme.message(text="As it was")["thread"]
        acme.reads()
        acme.order("message", thread=sick, text="An answer")
        acme.fault("error", method="threads.get", part=sick, status=400, error="invalidArgument", times=-1)
        for _ in range(3):
            new = acme.message()["thread"]
            assert acme.sync().status == "partial"
            assert new in acme.living
        assert acme.account.state == "active"
        assert "As it was" in acme.rows[sick].text
        acme.calm()
        acme.reads()
        assert "An answer" in acme.rows[sick].text

    def test_is_asked_for_more_and_more_rarely(self, acme: GmailTenant) -> None:
        sick, fine = filled(acme, 2)
        acme.fault("error", method="threads.get", part=sick, status=500, error="backendError", times=-1)
        batches = []
        for _ in range(12):
            since = acme.bench.requests()
            acme.order("labels", thread=sick, add=["STARRED"])
            acme.order("labels", thread=sick, remove=["STARRED"])
            result = scheduled(acme)
            assert f"thread {sick} (HTTP 500, backendError" in str(result.reason)
            batches.append(acme.calls(since).get("batch", 0))
            acme.bench.clock.advance(timedelta(minutes=10))
        assert batches[1] == 1
        assert sum(batches[6:]) <= 2
        assert acme.living == {fine}

    def test_names_its_error_and_what_was_asked(self, acme: GmailTenant) -> None:
        sick = acme.message()["thread"]
        acme.fault("error", method="threads.get", status=400, error="invalidArgument", times=-1)
        assert acme.sync().reason == f"not readable: thread {sick} (HTTP 400, invalidArgument)"
        [part] = acme.stored(unreadable_parts)
        assert (part.part, part.action) == (
            f"thread {sick}",
            "Gmail refused threads.get (HTTP 400, invalidArgument). It is asked for again, less and less often; "
            "look whether Gmail shows the thread.",
        )

    def test_that_is_refused_with_the_login_is_the_accounts_fault(self, acme: GmailTenant) -> None:
        filled(acme, 5)
        acme.reads()
        acme.revoke()
        acme.fault("error", method="threads.get", status=401, error="authError", times=-1)
        acme.message()
        assert acme.sync().status == "failed"
        assert acme.account.state == "needs_reconnect"

    def test_and_all_others_neither_ask_the_login_once(self, acme: GmailTenant) -> None:
        sick = filled(acme, 12)
        acme.fault("error", method="threads.get", status=403, error="forbidden", times=-1)
        for _ in range(4):
            since = acme.bench.requests()
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active")
            assert acme.calls(since).get("profile", 0) <= 2  # the other one pins the history
        assert len(acme.stored(unreadable_parts)) == len(sick)
        acme.calm()
        acme.reads()
        assert acme.living == set(sick)

    def test_and_is_too_large_is_told(self, acme: GmailTenant) -> None:
        sick, *healthy = filled(acme, 20)
        large = {"id": sick, "historyId": "1", "messages": [], "padding": "A" * LONGEST_ANSWER}
        acme.fault("json", method="threads.get", part=sick, status=200, body=large, times=-1)
        result = acme.sync()
        assert result.reason == f"not readable: thread {sick} (answer_too_large)"
        assert acme.living == set(healthy)
        assert result.calls["batch"] <= 1 + 2 * 5 + 1
        assert acme.sync().calls["batch"] == 2  # one is a check whether others are answered

    def test_of_large_mail_is_read_in_smaller_batches(self, acme: GmailTenant) -> None:
        made = [acme.message(text="A" * 3_000_000, hours_ago=1 + place)["thread"] for place in range(8)]
        acme.reads()
        assert acme.living == set(made)

    def test_of_one_letter_sent_compressed_is_read(self, acme: GmailTenant) -> None:
        made = acme.message(text="A" * 9_000_000)
        acme.fault("compressed", method="batch")
        acme.reads()
        assert acme.living == {made["thread"]}


class TestAThreadThatIsNotFound:
    def test_and_was_not_deleted_is_not_taken_for_deleted(self, acme: GmailTenant) -> None:
        held = acme.message()["thread"]
        acme.reads()
        acme.order("labels", thread=held, add=["STARRED"])
        acme.fault("error", method="threads.get", status=404, error="notFound", part=held, times=-1)
        for _ in range(3):
            result = acme.sync()
            assert result.reason is not None
            assert f"thread {held} (not found" in result.reason
            assert acme.living == {held}
        acme.calm()
        acme.reads()
        assert "STARRED" in acme.stored_message({"message": held}).label_ids

    def test_for_a_day_is_gone(self, acme: GmailTenant) -> None:
        held = acme.message()["thread"]
        acme.reads()
        acme.order("labels", thread=held, add=["STARRED"])
        acme.fault("error", method="threads.get", status=404, error="notFound", part=held, times=-1)
        assert acme.sync().status == "partial"
        acme.bench.clock.advance(timedelta(days=2))
        assert acme.reads().counts.deleted == 1
        assert acme.living == set()
        assert not acme.stored(unreadable_parts)

    def test_because_it_was_deleted_as_we_read_is_gone(self, acme: GmailTenant) -> None:
        sick, fine = filled(acme, 2)
        acme.fault("error", method="threads.get", status=404, error="notFound", part=sick)
        assert acme.sync().status == "partial"
        acme.order("delete", thread=sick)
        acme.reads()
        assert acme.living == {fine}
        assert not acme.stored(unreadable_parts)

    def test_although_it_waits_for_another_try_is_gone_once_it_is_deleted(self, acme: GmailTenant) -> None:
        sick = acme.message()["thread"]
        acme.reads()
        acme.order("labels", thread=sick, add=["STARRED"])
        acme.fault("error", method="threads.get", status=500, error="backendError", part=sick, times=-1)
        for _ in range(3):
            scheduled(acme)
        acme.calm()
        acme.order("delete", thread=sick)
        assert scheduled(acme).status == "success"
        assert acme.living == set()


class TestABatchThatOneThreadSpoils:
    @pytest.mark.parametrize("answer", WHOLE)
    def test_is_halved_down_to_that_thread(self, acme: GmailTenant, answer: str) -> None:
        sick, *healthy = filled(acme, 40)
        acme.fault(**WHOLE[answer], method="batch", part=sick, times=-1)
        result = acme.sync()
        assert acme.living == set(healthy)
        assert f"thread {sick} (" in str(result.reason)
        assert acme.account.state == "active"
        # five tries; at each of six levels one half, the other and a check; the last one twice more
        assert result.calls["batch"] <= 5 + 3 * 6 + 2 * 2
        assert acme.sync().calls["batch"] <= 2
        acme.calm()
        acme.reads()
        assert acme.living == {sick, *healthy}

    def test_spoils_no_other_one_again(self, acme: GmailTenant) -> None:
        sick, *healthy = filled(acme, 10)
        acme.fault("status", method="batch", status=500, part=sick, times=-1)
        acme.sync()
        new = filled(acme, 10)
        since = acme.bench.requests()
        acme.sync()
        assert acme.living == {*healthy, *new}
        assert acme.calls(since) == {"history.list": 1, "batch": 3}  # the new ones, the sick one, and a check

    def test_and_another_one_are_both_found(self, acme: GmailTenant) -> None:
        threads = filled(acme, 30)
        sick = {threads[3], threads[4], threads[29]}
        for one in sick:
            acme.fault("status", method="batch", status=500, part=one, times=-1)
        assert acme.sync().status == "partial"
        assert acme.living == set(threads) - sick

    @pytest.mark.parametrize("answer", ["500", "too much"])
    def test_is_not_halved_while_the_endpoint_answers_nobody(self, acme: GmailTenant, answer: str) -> None:
        filled(acme, 40)
        acme.fault(**WHOLE[answer], method="batch", times=-1)
        result = acme.sync()
        assert result.status == "failed"
        assert result.calls["batch"] <= 7
        assert not acme.stored(unreadable_parts)
        acme.calm()
        acme.reads()
        assert len(acme.living) == 40


class TestABodyThatCannotBeRead:
    @pytest.mark.parametrize("answer", [one for one in ANSWERS if one != "another thread"])
    def test_is_asked_for_again_and_its_message_is_stored(self, acme: GmailTenant, answer: str) -> None:
        fine = acme.message(text="A plain one")
        sick = acme.message(text="Kept apart", body_as_attachment=True)
        acme.fault(**ANSWERS[answer], method="attachments.get", times=-1)
        for _ in range(3):
            result = acme.sync()
            assert result.status == "partial"
            assert f"thread {sick['thread']} (" in str(result.reason)
            assert acme.account.state == "active"
        assert acme.living == {fine["thread"], sick["thread"]}
        assert not acme.stored_message(sick).text
        acme.calm()
        acme.reads()
        assert acme.stored_message(sick).text == "Kept apart"
        assert "Kept apart" in acme.rows[sick["thread"]].text

    def test_takes_nothing_from_what_is_stored(self, acme: GmailTenant) -> None:
        sick = acme.message(text="Kept apart", body_as_attachment=True)
        acme.reads()
        acme.order("labels", message=sick["message"], add=["STARRED"])
        acme.fault("error", method="attachments.get", status=500, error="backendError", times=-1)
        assert acme.sync().status == "partial"
        row = acme.stored_message(sick)
        assert (row.text, row.label_ids) == ("Kept apart", ["INBOX", "STARRED"])
        assert "Kept apart" in acme.rows[sick["thread"]].text

    @pytest.mark.parametrize("odd", [5, ["0"], {"a": 1}, True, "a\0b", "x" * 5000])
    @pytest.mark.parametrize("place", ["partId", "attachmentId"])
    def test_because_of_its_id_spoils_its_own_message_only(self, acme: GmailTenant, place: str, odd: Any) -> None:
        fine = acme.message(text="Kept apart", body_as_attachment=True)
        part: dict[str, Any] = {"partId": "1", "mimeType": "text/plain", "filename": "", "headers": []}
        part["body"] = {"attachmentId": "a1", "size": 4}
        (part if place == "partId" else part["body"])[place] = odd
        acme.message(payload={"mimeType": "multipart/mixed", "headers": [], "parts": [part]})
        body = {"size": 5, "data": "SGVsbG8"}
        acme.fault("json", method="attachments.get", status=200, body=body, times=-1)
        acme.reads()
        assert acme.stored_message(fine).text == "Hello"

    def test_of_no_bytes_is_empty(self, acme: GmailTenant) -> None:
        acme.message(text="Kept apart", body_as_attachment=True)
        acme.fault("json", method="attachments.get", status=200, body={"size": 0}, times=-1)
        acme.reads()


def test_every_method_that_concerns_one_part_is_tried_here() -> None:
    assert {name for name, method in METHODS.items() if method.level == "part"} == {
        "threads.get",
        "attachments.get",
    }
