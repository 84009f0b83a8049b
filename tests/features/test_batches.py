"""The Batch API: sent once, collected whenever it has ended, whatever restarts in between."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.features.answer import Asked, Rejected, Usage, read
from ingest_assets.features.batches import answer_of, ended
from ingest_assets.features.client import TooLong
from ingest_assets.features.report import Report
from ingest_assets.storage.model_requests import told_to_wait
from tests.features.test_extraction import LINES, Calls
from tests.workbench import Bench


class Batched(Calls):
    """The same, with INGEST_LLM_MODE=batch."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        bench.configure(INGEST_LLM_MODE="batch")

    def batches(self) -> list[Any]:
        with self.bench.engine.connect() as conn:
            return list(conn.execute(text("select * from features.model_batches order by submitted_at")))

    def by_method(self) -> dict[str, int]:
        counts: dict[str, int] = self.bench.ask("ledger/counts")["by_method"]
        return counts

    def answered(self, **settings: Any) -> Report:
        assert self.extract(**settings).submitted > 0
        self.bench.clock.advance(timedelta(hours=1))
        return self.extract(**settings)


@pytest.fixture
def calls(bench: Bench) -> Batched:
    return Batched(bench)


def test_what_is_sent_is_collected_when_it_has_ended_and_not_asked_for_before(calls: Batched) -> None:
    calls.add(3)
    calls.key(batch_seconds=1800)
    first = calls.extract()
    assert (first.submitted, first.extracted, first.remaining) == (3, 0, 3)
    assert calls.due() == []
    [batch] = calls.batches()
    assert ended(calls.bench.app.model, [batch.batch_id]) == set()
    waiting = calls.extract()
    assert (waiting.submitted, waiting.waiting) == (0, 3)
    calls.bench.clock.advance(timedelta(hours=1))
    assert ended(calls.bench.app.model, [batch.batch_id]) == {batch.batch_id}
    done = calls.extract()
    assert (done.extracted, done.remaining, done.requests) == (3, 0, 0)
    assert all(row.items for row in calls.rows.values())
    assert calls.extract().submitted == 0
    assert (calls.by_method()["batches.create"], calls.requests()) == (1, 0)


def test_it_costs_the_discounted_price(calls: Batched) -> None:
    calls.add(2)
    report = calls.answered(input_price=10.0, output_price=100.0)
    full = (report.usage.input * 10 + report.usage.output * 100) / 1_000_000
    assert report.dollars == pytest.approx(full / 2)
    assert sum(row.input_tokens for row in calls.paid) == report.usage.input > 0


def test_expired_requests_are_sent_again_and_the_others_kept(calls: Batched) -> None:
    calls.add(4)
    calls.key(expiring=3)
    report = calls.answered()
    assert (report.extracted, report.submitted, report.remaining) == (1, 3, 3)
    calls.bench.clock.advance(timedelta(hours=1))
    assert calls.extract().extracted == 3


def test_a_crash_after_the_submission_finds_its_batch_again(calls: Batched) -> None:
    calls.add(2)
    calls.extract()
    calls.bench.execute("update features.model_batches set batch_id = null")  # what a crash would leave
    assert calls.extract().extracted == 2
    assert calls.by_method()["batches.create"] == 1


def test_a_crash_before_the_submission_sends_it_again(calls: Batched) -> None:
    calls.add(2)
    calls.fault("status", status=503, method="batches.create", times=4)
    assert calls.extract().status == "partial"
    assert [batch.batch_id for batch in calls.batches()] == [None]
    calls.gong.calm()
    assert calls.extract().submitted == 2
    assert calls.extract().extracted == 2


def test_a_crash_amid_collecting_collects_the_rest_without_asking_again(calls: Batched) -> None:
    calls.add(3)
    calls.answered()
    calls.bench.execute("update features.model_batches set collected_at = null")
    calls.bench.execute(
        "delete from features.gong_call_features where external_id = (select min(external_id) from "
        "features.gong_call_features)"
    )
    report = calls.extract()
    assert (report.extracted, report.submitted, report.requests) == (1, 0, 0)


def test_wrong_answers_are_corrected_directly_and_unproven_quotes_dropped(calls: Batched) -> None:
    calls.add(2)
    calls.say("I found nothing.")
    calls.bench.order("openai/invent", key="sk-very-secret", times=1)
    report = calls.answered()
    assert (report.extracted, report.requests, report.dropped) == (2, 1, 3)


def test_what_is_too_long_is_halved_directly(calls: Batched) -> None:
    calls.add(lines=LINES * 40)
    calls.key(context_tokens=2200)
    report = calls.answered()
    assert report.extracted == 1
    assert report.requests >= 2


def test_the_cap_bounds_what_is_sent(calls: Batched) -> None:
    calls.add(6)
    calls.key(batch_seconds=1800)
    report = calls.extract(day_tokens=8000)
    assert report.status == "partial"
    assert 0 < report.submitted < 6
    assert calls.extract(day_tokens=8000).submitted == 0


def test_back_in_direct_mode_a_batch_under_way_is_waited_for_and_not_paid_twice(calls: Batched) -> None:
    calls.add(2)
    calls.key(batch_seconds=1800)
    calls.extract()
    calls.add(1)
    mixed = calls.extract(mode="direct")
    assert (mixed.extracted, mixed.waiting, mixed.requests) == (1, 2, 1)
    calls.bench.clock.advance(timedelta(hours=1))
    done = calls.extract(mode="direct")
    assert (done.extracted, done.requests) == (2, 0)


def test_a_batch_that_is_known_no_more_is_asked_again(calls: Batched) -> None:
    calls.add(2)
    calls.extract()
    calls.bench.execute("update features.model_batches set batch_id = 'batch_of_another_key'")
    assert calls.extract().submitted == 2
    assert calls.extract().extracted == 2


def test_a_pause_holds_for_what_batches_bring_too(calls: Batched) -> None:
    calls.add(2)
    calls.fault("ratelimit", retry_after=300, method="batches.create")
    assert calls.extract().status == "partial"
    with calls.bench.engine.connect() as conn:
        assert told_to_wait(conn, calls.bench.clock.now()) == {"acme"}
        assert told_to_wait(conn, calls.bench.clock.now() + timedelta(seconds=301)) == set()


def line(status: int, body: Any) -> str:
    return json.dumps(
        {"id": "1", "custom_id": "c", "response": {"status_code": status, "body": body}, "error": None}
    )


def test_lines_are_read_leniently_and_hiccups_left_for_the_next_batch() -> None:
    said = {"index": 0, "finish_reason": "novelty", "message": {"role": "assistant", "content": "x"}, "more": 1}
    found = answer_of(line(200, {"id": "1", "service_tier": "novelty", "choices": [said]}))
    assert found is not None
    assert read(found[1], Asked(0, 0)) == ("x", Usage(0, 1))
    assert answer_of(line(200, {"choices": []})) == ("c", None)
    assert answer_of(line(200, None)) == ("c", None)
    assert answer_of(line(400, {"error": {"code": "invalid"}})) == ("c", None)
    for lost in (
        line(500, {}),
        line(429, {"error": {"code": "rate_limit_exceeded"}}),
        "no JSON",
        "{}",
        line(400, None),
    ):
        assert answer_of(lost) is None
    for code, kind in (("context_length_exceeded", TooLong), ("content_filter", Rejected)):
        found = answer_of(line(400, {"error": {"code": code}}))
        assert isinstance(found and found[1], kind)
