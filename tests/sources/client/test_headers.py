"""Headers as vendors and proxies write them: a pause that is meant is kept, and none keeps us for years."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ingest_assets.sources.client.headers import LONGEST_PAUSE, Quota, pause_of

NOW = datetime(2026, 11, 26, 15, 7, 30, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
SECOND = timedelta(seconds=1)


def pause(value: str, **more: str) -> timedelta | None:
    return pause_of({"retry-after": value, **more}, NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("20", 20),
        (" 20 ", 20),
        ("1.5", 1.5),
        ("0", 0),
        ("Thu, 26 Nov 2026 15:07:50 GMT", 20),
        ("Thu, 26 Nov 2026 16:07:50 +0100", 20),
        ("Thursday, 26-Nov-26 15:07:50 GMT", 20),
        ("2026-11-26T15:07:50Z", 20),
        ("2026-11-26T15:07:50.500+00:00", 20.5),
        (str(EPOCH + 20), 20),
        (f"{EPOCH + 20}.25", 20.25),
        (str((EPOCH + 20) * 1000), 20),
        ("20s", 20),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("Thu, 26 Nov 2026 15:07:00 GMT", 0),  # has passed
        (str(EPOCH - 20), 0),
    ],
)
def test_a_pause_is_understood(value: str, seconds: float) -> None:
    assert pause(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["3601", "999999", "86400.5", "99h", "1795999999", "9" * 15, "9" * 18, "Fri, 26 Nov 2083 15:07:50 GMT"],
)
def test_no_vendor_keeps_us_for_longer_than_the_longest_pause(value: str) -> None:
    assert pause(value) == LONGEST_PAUSE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1e9",
        "nan",
        "inf",
        "0x10",
        "20 seconds",
        "1" * 5000,
        "Thu, 99 Nov 2026",
        "\u0662\u0660",
        "1,5",
        "\x00",
    ],
)
def test_nonsense_is_ignored_and_counted(value: str) -> None:
    ignored: Counter[str] = Counter()
    assert pause_of({"retry-after": value}, NOW, ignored) is None
    assert ignored == {"retry-after": 1}


def test_a_moment_is_compared_with_the_vendors_own_clock() -> None:
    hours_behind = {"date": "Thu, 26 Nov 2026 10:00:00 GMT"}
    assert pause("Thu, 26 Nov 2026 10:00:20 GMT", **hours_behind) == 20 * SECOND


def test_milliseconds_have_a_header_of_their_own() -> None:
    assert pause_of({"retry-after-ms": "1500", "retry-after": "2"}, NOW) == 1.5 * SECOND


class TestAQuota:
    def test_is_read_in_seconds_or_as_an_epoch(self) -> None:
        headers = {"ratelimit-limit": "60", "ratelimit-remaining": "0"}
        for reset in ("2", str(EPOCH + 2), str((EPOCH + 2) * 1000), "2s", "Thu, 26 Nov 2026 15:07:32 GMT"):
            assert Quota.of({**headers, "ratelimit-reset": reset}, NOW) == Quota(60, 0, 2 * SECOND)

    def test_is_read_under_its_older_names_and_with_its_policy(self) -> None:
        headers = {"x-ratelimit-limit": "100, 100;w=60", "x-ratelimit-remaining": "7", "x-ratelimit-reset": "1"}
        assert Quota.of(headers, NOW) == Quota(100, 7, SECOND)

    def test_that_is_nonsense_is_ignored_and_counted(self) -> None:
        ignored: Counter[str] = Counter()
        headers = {"ratelimit-limit": "many", "ratelimit-remaining": "-1", "ratelimit-reset": "later"}
        assert Quota.of(headers, NOW, ignored) == Quota()
        assert ignored.total() == 3
