"""What one call, one list of names or a limit of Gong's answers: told by name, and the rest is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.sources.gong.records import GongUser
from tests.sources.tenants import GongTenant
from tests.workbench import Bench

HOUR = timedelta(hours=1)
CALLS = 12
MOST_REQUESTS = 25  # of a sync that finds one call among them

FAULTS: list[Any] = [
    pytest.param("error", {"status": 404, "error": "Call not found or not accessible"}, id="404"),
    pytest.param("error", {"status": 400, "error": "filter.callIds: invalid"}, id="400"),
    pytest.param("error", {"status": 401, "error": "Access denied"}, id="401"),
    pytest.param("error", {"status": 403, "error": "Access denied"}, id="403"),
    pytest.param("error", {"status": 410, "error": "Gone"}, id="410"),
    pytest.param("error", {"status": 418, "error": "no_such_code"}, id="an unknown status"),
    pytest.param("ratelimit", {}, id="429"),
    pytest.param("status", {"status": 500}, id="500"),
    pytest.param("drop", {}, id="no answer"),
    pytest.param("html", {"status": 200}, id="HTML"),
    pytest.param("html", {"status": 404}, id="HTML with 404"),
    pytest.param("json", {"status": 200, "body": {"errors": ["oops"]}}, id="200 with an error"),
    pytest.param("json", {"status": 200, "body": {"callTranscripts": {}, "calls": "none"}}, id="a wrong shape"),
    pytest.param("json", {"status": 200, "body": [1]}, id="a list"),
]


@pytest.fixture
def acme(bench: Bench) -> GongTenant:
    tenant = GongTenant(bench, "acme")
    tenant.connect()
    tenant.order("settings", page_size=100)
    return tenant


def calls(acme: GongTenant, count: int = CALLS, *, days_ago: int = 0, **fields: Any) -> list[str]:
    ages = [24 * days_ago + hour + 1 for hour in range(count)]
    return [str(acme.order("call", hours_ago=age, sentences=4, **fields)["call"]) for age in ages]


def states(acme: GongTenant) -> dict[str, str]:
    return {external_id: row.transcript_state for external_id, row in acme.rows.items()}


class TestOneCall:
    @pytest.mark.parametrize(("kind", "fields"), FAULTS)
    def test_whose_transcript_is_refused_costs_its_transcript(
        self, acme: GongTenant, kind: str, fields: dict[str, Any]
    ) -> None:
        made = calls(acme)
        bad = made[5]
        acme.fault(kind, method="calls.transcript", part=bad, times=-1, **fields)
        for _ in range(3):
            result = acme.sync()
            assert sum(result.calls.values()) <= MOST_REQUESTS
            assert result.status == "partial"
            assert f"call {bad} (" in acme.account.reason
            assert acme.account.state == "active"
        assert states(acme) == dict.fromkeys(made, "ready") | {bad: "pending"}
        acme.calm()
        acme.reads()
        assert set(states(acme).values()) == {"ready"}

    @pytest.mark.parametrize(("kind", "fields"), FAULTS)
    def test_whose_details_are_refused_costs_its_details(
        self, acme: GongTenant, kind: str, fields: dict[str, Any]
    ) -> None:
        made = calls(acme, days_ago=10, transcript_after_seconds=30 * 3600)
        acme.reads()
        bad = made[3]
        acme.fault(kind, method="calls.by_id", part=bad, times=-1, **fields)
        acme.bench.clock.advance(40 * HOUR)  # no window holds them: they are asked for by id
        for _ in range(3):
            result = acme.sync()
            acme.bench.clock.advance(8 * HOUR)
        assert sum(result.calls.values()) <= MOST_REQUESTS
        assert (acme.account.state, result.status) == ("active", "partial")
        assert f"call {bad} (" in acme.account.reason
        assert states(acme) == dict.fromkeys(made, "ready") | {bad: "pending"}
        acme.calm()
        acme.reads()
        assert set(states(acme).values()) == {"ready"}

    def test_that_is_refused_keeps_what_is_held_of_it(self, acme: GongTenant) -> None:
        made = calls(acme)
        acme.reads()
        before = acme.rows[made[0]]
        acme.fault("error", method="calls.transcript", part=made[0], status=404, error="no", times=-1)
        for one in made[:3]:
            acme.order("edit", call=one, fields={"title": "Another title"})
        assert acme.sync().status == "partial"
        row = acme.rows[made[0]]
        assert (row.title, row.text, row.transcript_state) == ("Another title", before.text, "ready")
        acme.order("transcript", call=made[0], lines=["Said anew."])
        acme.calm()
        acme.reads()
        assert "Said anew." in acme.rows[made[0]].text

    def test_of_which_nothing_tells_whether_it_exists_is_not_taken_for_deleted(self, acme: GongTenant) -> None:
        made = calls(acme)
        acme.reads()
        for one in made[:2]:
            acme.order("delete", call=one)
        acme.fault("html", method="calls.get", part=made[0], status=404, times=-1)
        result = acme.sync()
        assert (result.status, result.counts.deleted) == ("partial", 1)
        assert f"call {made[0]} (" in str(result.reason)
        assert made[0] in acme.living
        acme.calm()
        assert acme.reads().counts.deleted == 1

    def test_that_is_deleted_at_last_is_no_longer_told(self, acme: GongTenant) -> None:
        made = calls(acme)
        acme.fault("status", method="calls.transcript", part=made[0], status=500, times=-1)
        assert acme.sync().status == "partial"
        acme.order("delete", call=made[0])
        acme.reads()
        assert made[0] not in acme.living

    def test_several_among_many(self, acme: GongTenant) -> None:
        made = calls(acme, 60)
        bad = {made[1], made[30], made[59]}
        for one in bad:
            acme.fault("error", method="calls.transcript", part=one, status=404, error="no", times=-1)
        result = acme.sync()
        assert sum(result.calls.values()) <= 3 * MOST_REQUESTS
        assert {key for key, state in states(acme).items() if state != "ready"} == bad
        assert sum(acme.sync().calls.values()) <= MOST_REQUESTS


class TestAllCalls:
    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_that_are_refused_are_no_fault_of_the_login(self, acme: GongTenant, status: int) -> None:
        made = calls(acme, 40)
        acme.fault("error", method="calls.transcript", status=status, error="no", times=-1)
        for _ in range(3):
            result = acme.sync()
            assert (result.status, acme.account.state) == ("partial", "active")
            assert sum(result.calls.values()) <= 80
        assert acme.living == set(made)
        acme.calm()
        acme.reads()
        assert set(states(acme).values()) == {"ready"}

    def test_that_are_refused_with_the_login_are_the_logins_fault(self, acme: GongTenant) -> None:
        calls(acme)
        acme.fault("error", method="calls.extensive", status=401, error="revoked", skip=1, times=-1)
        acme.fault("error", method="calls.transcript", status=401, error="revoked", times=-1)
        acme.sync()
        assert acme.account.state == "needs_reconnect"

    def test_that_the_vendor_slows_down_for_long_wait_as_the_account(self, acme: GongTenant) -> None:
        calls(acme)
        acme.fault("ratelimit", method="calls.transcript", retry_after=1800, times=1)
        result = acme.sync()
        assert result.status == "failed"
        assert acme.account.state == "active"
        assert acme.account.due_at - acme.bench.clock.now() > timedelta(minutes=20)
        assert sum(result.calls.values()) <= 4


class TestNames:
    @pytest.mark.parametrize(("kind", "fields"), FAULTS)
    def test_that_are_refused_keep_no_call_waiting(
        self, acme: GongTenant, kind: str, fields: dict[str, Any]
    ) -> None:
        made = calls(acme)
        if fields.get("status") == 404 and kind == "error":
            fields = fields | {"error": "No such path"}
        for _ in range(2):
            acme.reads()  # both lists have been read
        acme.fault(kind, method="users.list", times=-1, **fields)
        for _ in range(3):
            acme.bench.clock.advance(25 * HOUR)
            result = acme.sync()
        assert (result.status, acme.account.state) == ("partial", "active")
        assert "users (" in str(result.reason)
        assert acme.living == set(made)
        acme.calm()
        for _ in range(2):
            acme.sync()
        acme.reads()
        assert acme.stored(GongUser.table)


class TestOddPages:
    @pytest.mark.parametrize(
        "body",
        [
            {"records": [1], "calls": []},
            {"records": "none", "calls": []},
            {"records": {"cursor": ["a"]}, "calls": []},
            {"records": {"cursor": {"a": 1}}, "calls": []},
            {"records": {"cursor": "x" * 20_000}, "calls": []},
            {"records": {"totalRecords": "many"}, "calls": {}},
            {"calls": None},
            {},
        ],
    )
    def test_are_told_as_the_vendors_fault(self, acme: GongTenant, body: Any) -> None:
        acme.fault("json", method="calls.extensive", status=200, body=body, times=-1)
        result = acme.sync()
        assert result.status == "failed"
        assert result.error is not None
        assert result.error.kind == "unexpected_response"

    @pytest.mark.parametrize("total", ["many", [7], -1, None, 10**30])
    def test_with_an_odd_total_are_read(self, acme: GongTenant, total: Any) -> None:
        body = {"records": {"totalRecords": total}, "calls": [None]}
        acme.fault("json", method="calls.extensive", status=200, body=body)
        assert acme.sync().counts.rejected == 1

    def test_with_a_huge_total_cost_few_requests(self, acme: GongTenant) -> None:
        made = calls(acme)
        body = {"records": {"totalRecords": 2**62}, "calls": []}
        acme.fault("json", method="calls.extensive", status=200, body=body)
        assert sum(acme.reads().calls.values()) <= 60
        assert acme.living == set(made)
