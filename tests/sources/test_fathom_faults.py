"""What one recording or a limit of Fathom's answers: told by name, and the rest is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.sources.tenants import FathomTenant
from tests.workbench import Bench

HOUR = timedelta(hours=1)
OAUTH = {"client_id": "app", "client_secret": "app-secret", "refresh_token": "refresh-0"}

FAULTS: list[Any] = [
    pytest.param("error", {"status": 400}, id="400"),
    pytest.param("error", {"status": 401}, id="401"),
    pytest.param("error", {"status": 403}, id="403"),
    pytest.param("error", {"status": 404}, id="404"),
    pytest.param("error", {"status": 410}, id="410"),
    pytest.param("error", {"status": 418}, id="an unknown status"),
    pytest.param("ratelimit", {}, id="429"),
    pytest.param("status", {"status": 500}, id="500"),
    pytest.param("drop", {}, id="no answer"),
    pytest.param("html", {"status": 200}, id="HTML"),
    pytest.param("json", {"status": 200, "body": {"error": "oops"}}, id="200 with an error"),
    pytest.param("json", {"status": 200, "body": {"transcript": "a", "summary": "a"}}, id="texts"),
    pytest.param("json", {"status": 200, "body": {"transcript": {"a": 1}, "summary": [1]}}, id="wrong shapes"),
    pytest.param("json", {"status": 200, "body": [1]}, id="a list"),
]


def meeting(acme: FathomTenant, **fields: Any) -> str:
    return str(acme.order("meeting", **{"hours_ago": 0.5, "segments": 4, **fields})["recording"])


@pytest.fixture
def acme(bench: Bench) -> FathomTenant:
    tenant = FathomTenant(bench, "acme")
    tenant.connect()
    return tenant


@pytest.fixture
def app(bench: Bench) -> FathomTenant:
    """An OAuth app's account, which asks for transcripts and summaries apart."""
    tenant = FathomTenant(bench, "acme")
    tenant.vendor_id = bench.order("fathom/org", id="apps", **OAUTH)["org"]
    tenant.secrets = {name: OAUTH[name] for name in ("client_secret", "refresh_token")}
    tenant.given = lambda: {"client_id": "app", "client_secret": "-", "refresh_token": "-"}  # type: ignore[method-assign]
    tenant.connect()
    return tenant


class TestOneRecording:
    @pytest.mark.parametrize(("kind", "fields"), FAULTS)
    @pytest.mark.parametrize("part", ["transcript", "summary"])
    def test_whose_part_is_refused_costs_that_part(
        self, app: FathomTenant, part: str, kind: str, fields: dict[str, Any]
    ) -> None:
        made = [meeting(app, hours_ago=place + 1) for place in range(5)]
        bad = made[2]
        app.fault(kind, method=f"recordings.{part}", part=bad, times=-1, **fields)
        for _ in range(3):
            result = app.sync()
            assert (result.status, app.account.state) == ("partial", "active")
            assert f"{part} of recording {bad} (" in app.account.reason
            assert sum(result.calls.values()) <= 30
        for recording, row in app.rows.items():
            assert (row.text is None) == (recording == bad and part == "transcript")
            assert (row.summary is None) == (recording == bad and part == "summary")
        app.calm()
        app.reads()
        assert all(row.text and row.summary for row in app.rows.values())

    @pytest.mark.parametrize(("kind", "fields"), [fault for fault in FAULTS if fault.id != "404"])
    def test_of_which_nothing_tells_whether_it_exists_is_not_taken_for_deleted(
        self, acme: FathomTenant, kind: str, fields: dict[str, Any]
    ) -> None:
        made = [meeting(acme, hours_ago=place / 10) for place in range(3)]
        acme.reads()
        for recording in made[:2]:
            acme.order("hide", recording=int(recording), email="bob@vendor.example")
        acme.fault(kind, method="recordings.transcript", part=made[0], times=-1, **fields)
        result = acme.sync()
        assert (result.status, result.counts.deleted) == ("partial", 1)
        assert f"recording {made[0]} (" in str(result.reason)
        acme.calm()
        assert acme.reads().counts.deleted == 1

    def test_that_is_refused_keeps_what_is_held_of_it(self, app: FathomTenant) -> None:
        made = meeting(app)
        app.reads()
        before = app.rows[made]
        for part in ("transcript", "summary"):
            app.fault("status", method=f"recordings.{part}", part=made, status=500, times=-1)
        app.order("edit", recording=int(made), fields={"title": "Another title"})
        assert app.sync().status == "partial"
        row = app.rows[made]
        assert (row.title, row.text, row.summary) == ("Another title", before.text, before.summary)

    def test_without_a_summary_where_nulls_are_left_out_is_no_fault(self, app: FathomTenant) -> None:
        meeting(app)
        app.fault("json", method="recordings.summary", status=200, body={}, times=-1)
        app.fault("json", method="recordings.transcript", status=200, body={"transcript": None}, times=-1)
        app.reads()

    def test_that_is_deleted_at_last_is_no_longer_told(self, app: FathomTenant) -> None:
        made = meeting(app)
        app.fault("status", method="recordings.transcript", part=made, status=500, times=1000)
        assert app.sync().status == "partial"
        app.calm()
        app.order("delete", recording=int(made))
        app.sync()
        app.sync()
        assert "transcript of recording" not in str(app.account.reason)
        assert app.living == set()


class TestAllRecordings:
    @pytest.mark.parametrize("status", [401, 403, 500])
    def test_that_are_refused_are_no_fault_of_the_login(self, app: FathomTenant, status: int) -> None:
        made = {meeting(app, hours_ago=place + 1) for place in range(8)}
        for part in ("transcript", "summary"):
            app.fault("error", method=f"recordings.{part}", status=status, times=-1)
        for _ in range(3):
            result = app.sync()
            assert (result.status, app.account.state) == ("partial", "active")
            assert sum(result.calls.values()) <= 60
        assert app.living == made
        app.calm()
        app.reads()
        assert all(row.text and row.summary for row in app.rows.values())

    def test_that_are_refused_with_the_login_are_the_logins_fault(self, app: FathomTenant) -> None:
        for place in range(4):
            meeting(app, hours_ago=place + 1)
        app.fault("error", method="meetings.list", status=403, skip=1, times=-1)
        for part in ("transcript", "summary"):
            app.fault("error", method=f"recordings.{part}", status=403, times=-1)
        app.sync()
        assert app.account.state == "needs_reconnect"


class TestOddPages:
    @pytest.mark.parametrize(
        "body",
        [
            {"items": []} | {"next_cursor": ["a"]},
            {"items": []} | {"next_cursor": {"page_num": 2}},
            {"items": []} | {"next_cursor": "x" * 20_000},
            {"items": {"0": 1}},
            {"items": None},
            {},
        ],
    )
    def test_are_told_as_the_vendors_fault(self, acme: FathomTenant, body: Any) -> None:
        acme.fault("json", method="meetings.list", status=200, body=body, times=-1)
        result = acme.sync()
        assert result.error is not None
        assert (result.status, result.error.kind) == ("failed", "unexpected_response")


class TestRateLimitHeaders:
    @pytest.fixture
    def acme(self, bench: Bench) -> FathomTenant:
        bench.configure(FATHOM_PACING="true")
        tenant = FathomTenant(bench, "acme")
        tenant.connect()
        return tenant

    @pytest.mark.parametrize("written", ["seconds", "epoch", "milliseconds", "date", "nonsense", "endless"])
    def test_in_any_form_keep_us_no_longer_than_a_minute_a_page(self, acme: FathomTenant, written: str) -> None:
        made = {meeting(acme, hours_ago=place + 1, segments=1) for place in range(20)}
        acme.order("settings", enforce_limits=True, heavy_limit=3, reset_written=written)
        since = acme.bench.requests()
        acme.bench.clock.pauses.clear()
        acme.reads()
        assert acme.living == made
        assert acme.bench.ask("ledger/counts", since=since)["throttled"] <= 1
        assert max(acme.bench.clock.pauses, default=0) <= 61

    def test_that_say_nothing_are_counted(self, acme: FathomTenant) -> None:
        meeting(acme)
        acme.order("settings", reset_written="nonsense")
        assert acme.reads().ignored == {"ratelimit-reset": 1}

    def test_of_a_limit_that_rises_again_are_followed(self, acme: FathomTenant) -> None:
        made = {meeting(acme, hours_ago=place + 1, segments=1) for place in range(30)}
        acme.order("settings", enforce_limits=True, heavy_limit=3)
        clock = acme.bench.clock
        wait = clock.sleep

        async def sleep(seconds: float) -> None:
            await wait(seconds)
            acme.order("settings", heavy_limit=30)

        clock.sleep = sleep  # type: ignore[method-assign]
        clock.pauses.clear()
        acme.reads()
        assert acme.living == made
        assert 0 < sum(clock.pauses) <= 61  # its 10 pages at 3 a minute would take three pauses
