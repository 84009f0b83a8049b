"""Requests for many ids: the one that spoils them is found, in a bounded number of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from ingest_assets.errors import PartUnreadable, SourceError, Transient
from ingest_assets.sources.client.halving import MOST_FAILURES, Halving
from ingest_assets.sources.client.retry import TRIES

IDS = [str(number) for number in range(100)]


class Vendor:
    """Refuses every request that names one of some ids."""

    def __init__(self, *bad: str, error: SourceError | None = None) -> None:
        self.bad, self.error = set(bad), error or PartUnreadable("Refused.", code="http_404")
        self.asked: list[int] = []
        self.tries: list[int] = []

    async def __call__(self, ids: Sequence[str], tries: int) -> list[str]:
        self.asked.append(len(ids))
        self.tries.append(tries)
        if self.bad.intersection(ids):
            raise self.error
        return list(ids)


def asked(vendor: Vendor, ids: Sequence[str] = IDS, halving: Halving | None = None) -> tuple[set[str], set[str]]:
    answers, refused = asyncio.run((halving or Halving()).ask(ids, vendor, TRIES))
    return {one for answer in answers for one in answer}, set(refused)


@pytest.mark.parametrize("bad", [[], ["0"], ["57"], ["99"], ["3", "4"], ["10", "50", "90"]])
def test_all_but_the_refused_are_answered(bad: list[str]) -> None:
    vendor = Vendor(*bad)
    assert asked(vendor) == (set(IDS) - set(bad), set(bad))
    assert len(vendor.asked) <= 1 + 14 * len(bad)


def test_only_the_first_request_is_tried_often() -> None:
    vendor = Vendor("57")
    asked(vendor)
    assert vendor.tries == [TRIES] + [1] * (len(vendor.asked) - 1)


def test_when_all_are_refused_the_search_ends() -> None:
    vendor, halving = Vendor(*IDS), Halving()
    assert asked(vendor, halving=halving) == (set(), set(IDS))
    assert len(vendor.asked) <= MOST_FAILURES + 10
    before = len(vendor.asked)
    asked(vendor, halving=halving)
    assert len(vendor.asked) == before + 1


def test_a_long_pause_is_no_fault_of_an_id() -> None:
    vendor = Vendor("57", error=Transient("Slow down.", retry_after=timedelta(hours=1)))
    with pytest.raises(Transient):
        asked(vendor)
    assert vendor.asked == [100]
