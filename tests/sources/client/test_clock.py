"""Ranges and cursors when our clock and the vendor's differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ingest_assets.sources.client.clock import VendorClock

NOW = datetime(2026, 11, 26, 14, 41, 7, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def answered(date: datetime) -> dict[str, str]:
    return {"date": format_datetime(date, usegmt=True)}


@pytest.mark.parametrize("ahead", [-7200 * MINUTE, -10 * MINUTE, timedelta(0), 10 * MINUTE, 7200 * MINUTE])
def test_what_is_asked_for_and_what_is_covered_lie_on_the_safe_sides_of_both_clocks(ahead: timedelta) -> None:
    clock = VendorClock()
    clock.note(answered(NOW + ahead), NOW)
    assert (clock.earlier(NOW), clock.later(NOW)) == (min(NOW, NOW + ahead), max(NOW, NOW + ahead))


def test_a_slow_answer_does_not_make_the_vendors_clock_late() -> None:
    clock = VendorClock()
    for delay in (30 * SECOND, SECOND, 5 * SECOND):
        clock.note(answered(NOW - delay), NOW)
    assert clock.earlier(NOW) == NOW - SECOND


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": ""}, {"date": "9" * 500}])
def test_without_a_time_in_the_answer_both_clocks_are_the_same(headers: dict[str, str]) -> None:
    clock = VendorClock()
    clock.note(headers, NOW)
    assert (clock.earlier(NOW), clock.later(NOW)) == (NOW, NOW)


@pytest.mark.parametrize("age", ["10800", "10800, 60", "10800,10800"])
def test_an_answer_from_a_cache_tells_when_it_was_made_and_how_old_it_is(age: str) -> None:
    clock = VendorClock()
    clock.note({**answered(NOW - 180 * MINUTE), "age": age}, NOW)
    assert (clock.earlier(NOW), clock.later(NOW)) == (NOW, NOW)


@pytest.mark.parametrize("age", ["", "-60", "1.5", ",60", "old", "9" * 8, "9" * 5000, "\u0661"])
def test_an_age_that_is_none_is_ignored(age: str) -> None:
    clock = VendorClock()
    clock.note({**answered(NOW - MINUTE), "age": age}, NOW)
    assert (clock.earlier(NOW), clock.later(NOW)) == (NOW - MINUTE, NOW)


def test_an_answer_from_the_end_of_the_calendar_is_no_older_than_that() -> None:
    clock, end = VendorClock(), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    clock.note({**answered(end), "age": "60"}, NOW)
    assert (clock.earlier(NOW), clock.later(NOW)) == (NOW, end)
