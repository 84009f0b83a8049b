"""Success is said only of what was read: clocks that are wrong, items that come late, pages that move."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.sources.time_window_plan import Reach, Window, WindowsCursor, plan
from tests.sources.tenants import TENANTS, FathomTenant, GongTenant, Tenant
from tests.workbench import Bench

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 26, 14, tzinfo=UTC)
REACH = Reach(history=30 * DAY, look_back=HOUR)


@pytest.fixture(params=["gong", "fathom"])
def acme(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    return TENANTS[request.param](bench, "acme").connected()


@pytest.fixture
def fathom(bench: Bench) -> FathomTenant:
    tenant = FathomTenant(bench, "acme")
    tenant.connect()
    return tenant


def cursor(**fields: Any) -> WindowsCursor:
    read = NOW - HOUR
    known = {
        "covered_from": NOW - 30 * DAY,
        "covered_to": read,
        "deep_at": read,
        "wide_at": read,
        "looked_at": read,
    }
    return WindowsCursor.model_validate(known | fields)


class TestAPlan:
    def test_reads_what_is_new_and_a_little_of_what_is_not(self) -> None:
        assert plan(cursor(), NOW, REACH).unread == [Window(since=NOW - 2 * HOUR, until=NOW)]

    @pytest.mark.parametrize("ahead", [timedelta(minutes=1), 5 * DAY, 400 * DAY])
    @pytest.mark.parametrize("name", ["covered_to", "deep_at", "wide_at", "looked_at"])
    def test_never_asks_for_what_ends_before_it_begins(self, name: str, ahead: timedelta) -> None:
        planned = plan(cursor(**{name: NOW + ahead}), NOW, REACH)
        assert all(window.since < window.until <= NOW for window in planned.unread)
        assert planned.covered_to == NOW
        assert max(planned.deep_at, planned.looked_at) <= NOW

    def test_reads_all_of_the_history_where_nobody_knows_how_much_was_read(self) -> None:
        ahead = cursor(
            covered_to=NOW + 5 * DAY, unread=[Window(since=NOW + 3 * DAY, until=NOW + DAY)], deep_at=NOW + 5 * DAY
        )
        assert plan(ahead, NOW, REACH).unread == [Window(since=NOW - 30 * DAY, until=NOW, deep=True)]

    def test_drops_windows_that_end_before_they_begin(self) -> None:
        broken = cursor(unread=[Window(since=NOW, until=NOW - DAY)])
        assert plan(broken, NOW, REACH).unread == [Window(since=NOW - 2 * HOUR, until=NOW)]

    def test_looks_weekly_at_all_that_was_ever_read(self) -> None:
        old = cursor(covered_from=NOW - 300 * DAY, wide_at=NOW - 8 * DAY)
        assert plan(old, NOW, REACH).unread[0] == Window(since=NOW - 300 * DAY, until=NOW - 2 * HOUR)

    def test_goes_no_further_than_an_account_that_chose_its_hours_wants(self) -> None:
        old = cursor(covered_from=NOW - 300 * DAY, wide_at=NOW - 8 * DAY)
        planned = plan(old, NOW, Reach(history=2 * DAY, look_back=HOUR, all_read=False))
        assert planned.unread[0] == Window(since=NOW - 2 * DAY, until=NOW - 2 * HOUR)

    def test_goes_on_with_a_long_look_that_was_interrupted(self) -> None:
        pieces = [Window(since=NOW - 300 * DAY, until=NOW - 200 * DAY)]
        interrupted = cursor(covered_from=NOW - 300 * DAY, unread=pieces)
        assert plan(interrupted, NOW, REACH).unread[:-1] == pieces


class TestAClock:
    @pytest.mark.parametrize("wrong", [5 * DAY, 2 * HOUR, timedelta(minutes=10)])
    @pytest.mark.parametrize("later", [HOUR, 2 * DAY, 5 * DAY + 2 * HOUR, 8 * DAY])
    def test_that_was_ahead_heals_at_once(self, acme: Tenant, wrong: timedelta, later: timedelta) -> None:
        first = acme.add(hours_ago=1)
        acme.reads()
        acme.bench.clock.advance(HOUR)
        acme.bench.clock.go_wrong(wrong)
        acme.sync()
        acme.bench.clock.go_wrong(-wrong)
        acme.bench.clock.advance(later / 2)
        missed = acme.add(hours_ago=0)
        acme.bench.clock.advance(later / 2)
        new = acme.add(hours_ago=0.1)
        acme.reads()
        assert acme.living == {first, missed, new}

    def test_that_was_ahead_at_the_first_sync_heals_at_once(self, acme: Tenant) -> None:
        acme.bench.clock.go_wrong(5 * DAY)
        first = acme.add(hours_ago=1)
        acme.sync()
        acme.bench.clock.go_wrong(-5 * DAY)
        acme.bench.clock.advance(2 * DAY)
        missed = acme.add(hours_ago=30)
        acme.reads()
        assert acme.living == {first, missed}

    def test_that_is_behind_misses_nothing_once_it_is_right(self, acme: Tenant) -> None:
        first = acme.add(hours_ago=1)
        acme.reads()
        acme.bench.clock.go_wrong(-5 * DAY)
        second = acme.add(hours_ago=0.1)
        acme.sync()
        acme.bench.clock.go_wrong(5 * DAY)
        acme.reads()
        assert acme.living == {first, second}

    def test_whose_future_stands_in_a_cursor_of_old_heals_at_once(self, acme: Tenant) -> None:
        first = acme.add(hours_ago=1)
        acme.reads()
        missed = acme.add(hours_ago=0)
        acme.bench.clock.advance(2 * DAY)
        acme.bench.execute(
            "update ingest.sync_cursors set cursor = cursor || "
            "jsonb_build_object('covered_to', cast(:at as text), 'deep_at', cast(:at as text)) "
            "where cursor ? 'covered_to'",
            at=(acme.bench.clock.now() + 5 * DAY).isoformat(),
        )
        acme.reads()
        assert acme.living == {first, missed}


class TestWhatIsLate:
    @staticmethod
    def days_later(acme: Tenant, days: int) -> None:
        acme.bench.clock.advance(days * DAY)
        acme.add()  # a login that sees nothing for a month would be told
        acme.reads()

    def test_by_more_than_the_history_is_found_within_a_week(self, acme: Tenant) -> None:
        self.days_later(acme, 0)
        self.days_later(acme, 30)
        acme.bench.clock.advance(2 * DAY)
        late = acme.add(hours_ago=31 * 24)  # it begins to be listed now
        self.days_later(acme, 7)
        assert late in acme.living

    def test_an_edit_after_the_history_is_found_within_a_week(self, acme: Tenant) -> None:
        old = acme.add(hours_ago=24)
        acme.reads()
        self.days_later(acme, 60)
        acme.change(old)
        self.days_later(acme, 7)
        assert acme.rows[old].title == "Another title"

    def test_a_deletion_after_the_history_is_found_within_a_week(self, acme: Tenant) -> None:
        old = acme.add(hours_ago=24)
        acme.reads()
        self.days_later(acme, 60)
        acme.delete(old)
        self.days_later(acme, 7)
        assert old not in acme.living


class TestTheNewest:
    @pytest.mark.parametrize("kind", [GongTenant, FathomTenant])
    def test_count_what_they_leave_out(self, bench: Bench, kind: type[Tenant]) -> None:
        acme = kind(bench, "acme")
        setting = "newest_calls" if kind is GongTenant else "newest_sessions"
        chosen: dict[str, Any] = {setting: 2, "last_hours": 24}
        acme.connect(**chosen)
        for hour in range(5):
            acme.add(hours_ago=hour + 1)
        assert acme.reads().left_out == {"older than the newest 2": 3}
        assert len(acme.living) == 2

    def test_say_nothing_where_nothing_is_left_out(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        acme.connect(newest_calls=2, last_hours=24)
        acme.add()
        assert not acme.reads().left_out


class TestPagesByNumber:
    @pytest.mark.parametrize("order", ["newest_first", "oldest_first", "shuffled"])
    @pytest.mark.parametrize("at_page", [2, 3])
    def test_that_move_up_while_they_are_read_hide_nothing(
        self, fathom: FathomTenant, order: str, at_page: int
    ) -> None:
        fathom.order("settings", order=order)
        made = [fathom.add(hours_ago=1 + place) for place in range(12)]
        listed = [str(one) for one in self.listed(fathom)]
        deleted = listed[:2]
        fathom.fault("slow", method="meetings.list", seconds=0.4, skip=at_page - 1, times=1)
        since = fathom.bench.requests()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(fathom.sync)
            while self.heavy_pages(fathom, since) < at_page:
                pass  # the page is asked for, and will be answered as things are then
            for recording in deleted:
                fathom.delete(recording)
            assert running.result().status == "success"
        assert set(made) - set(deleted) <= fathom.living

    @staticmethod
    def listed(fathom: FathomTenant) -> list[int]:
        """List the recordings as the vendor does."""
        headers = {"X-Api-Key": fathom.secrets["api_key"]}
        found: list[int] = []
        cursor = None
        while True:
            params: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            answer = fathom.bench.sim.get("/fathom/external/v1/meetings", params=params, headers=headers).json()
            found += [item["recording_id"] for item in answer["items"]]
            if (cursor := answer["next_cursor"]) is None:
                return found

    @staticmethod
    def heavy_pages(fathom: FathomTenant, since: int) -> int:
        return fathom.calls(since).get("meetings.list", 0)

    def test_cost_one_request_more_for_each_border(self, fathom: FathomTenant) -> None:
        for place in range(9):
            fathom.add(hours_ago=1 + place)
        since = fathom.bench.requests()
        fathom.reads()
        assert fathom.calls(since) == {"meetings.list": 3 + 2}
        since = fathom.bench.requests()
        fathom.reads()
        assert fathom.calls(since) == {"meetings.list": 1}
