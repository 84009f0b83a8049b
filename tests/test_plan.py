"""What `ingest-assets plan` tells is what then happens, within a tenth."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.sync.planning import plan_reading
from tests.sources.tenants import TENANTS, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

DAY = 24.0
TENTH = 0.1
HALF_A_YEAR = 170 * DAY
BIG: dict[str, dict[str, Any]] = {
    "slack": {
        "page_cap": 20,
        "world": {"channels": 6, "messages": 260, "threads": 60, "replies": 3, "span_hours": HALF_A_YEAR},
    },
    "gong": {"page_size": 100, "calls": 2600, "sentences": 4, "span_hours": HALF_A_YEAR},
    "fathom": {"page_size": 10, "meetings": 900, "segments": 4, "span_hours": HALF_A_YEAR},
    "gmail": {"page_cap": 500, "threads": 2400, "body_bytes": 100, "span_hours": HALF_A_YEAR},
}
"""Customers who have much, some of it in the history of 30 days and most of it before."""


def days_ago(days: float) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%S}"


def planned(bench: Bench, *arguments: str, workspace: str = "acme", **environ: str) -> Any:
    """Run the command; it stores nothing, and makes as many requests as it says."""
    since = bench.requests()
    done = bench.run("plan", *arguments, "--workspace", workspace, "--json", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    [found] = json.loads(done.stdout)
    assert found.get("plan_api_calls", 0) == _http(bench, since)
    return found


def _http(bench: Bench, since: int) -> int:
    """Requests, those within Google's batches not counted."""
    counts = bench.ask("ledger/counts", since=since)["by_method"]
    return sum(count for method, count in counts.items() if method not in {"threads.get", "attachments.get"})


def about(found: Any, happened: float) -> bool:
    """Tell whether a number was within a tenth."""
    return bool(abs(found["likely"] - happened) <= max(1, TENTH * happened))


@pytest.mark.parametrize("source", [source.name for source in SOURCES])
def test_a_first_sync_and_a_backfill_take_what_the_plan_says(bench: Bench, source: str) -> None:
    made = TENANTS[source](bench, "acme", **BIG[source]).connected()
    told = planned(bench, "sync", "--source", source)
    first = made.reads()
    calls, stored = sum(first.calls.values()), len(made.living)
    assert told["plan_api_calls"] <= max(30, 0.7 * calls)
    assert 1 <= told["api_calls_again"] <= calls
    assert about(told["api_calls"], calls), (told, first.calls)
    assert about(told["items"], stored), (told, stored)

    told = planned(bench, "backfill", "--source", source, "--from", days_ago(165))
    arguments = ("--workspace", "acme", "--source", source, "--from", days_ago(165), "--json")
    [happened] = json.loads(bench.run("backfill", *arguments).stdout)
    assert happened["covered"]
    assert about(told["api_calls"], happened["api_calls"]), (told, happened)
    assert about(told["items"], len(made.living) - stored), (told, len(made.living) - stored)
    size = sum(len(json.dumps(row.raw)) for record in made.source.assets for row in made.stored(record.table))
    assert 0.7 * told["megabytes"] <= size / 1_000_000 <= 1.7 * told["megabytes"]

    again = planned(bench, "backfill", "--source", source, "--from", days_ago(165))
    assert again["items"]["likely"] <= 0.02 * len(made.living)
    assert again["api_calls"]["likely"] < 0.5 * happened["api_calls"]


class TestWords:
    @pytest.fixture
    def acme(self, bench: Bench) -> Tenant:
        made = GongTenant(bench, "acme").connected()
        for days in (1, 2, 40, 50):
            made.add(hours_ago=days * DAY)
        return made

    def test_say_what_it_takes_and_what_the_plan_took(self, acme: Tenant) -> None:
        bench = acme.bench
        wanted = ("--workspace", "acme", "--source", "gong")
        done = bench.run("plan", "backfill", *wanted, "--from", days_ago(60), OPENAI_API_KEY="sk-test")
        assert (done.returncode, done.stderr) == (0, "")
        title, items, calls, again, time, model, cost = done.stdout.splitlines()
        assert title.startswith("acme Acme 1, from 20")
        assert items.startswith("  4 calls, about 0.0 MB")
        assert calls.startswith("  ")
        assert "API calls (calls.extensive " in calls
        assert again == "  1 of them again with each further sync, as after an interruption"
        assert time == "  A minute at most under the vendor's limits"
        assert model.startswith("  4 transcripts for the language model: 4 requests, ")
        assert model.endswith("no price is set (OPENAI_INPUT_PRICE, OPENAI_OUTPUT_PRICE)")
        assert cost.startswith("  This plan took ")
        bench.configure(GONG_CALLS_PER_DAY="20", GONG_BACKFILL_SHARE="0.05")
        done = bench.run("plan", "sync", *wanted)
        assert "history has 1 of the day's 20 requests: about " in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["sync", "--workspace", "nobody", "--source", "gong"], "There is no workspace 'nobody'"),
            (["sync", "--workspace", "acme", "--source", "slack"], "Workspace 'acme' has no slack account"),
            (["extract", "--workspace", "nobody"], "There is no workspace 'nobody'"),
            (
                ["backfill", "--workspace", "acme", "--source", "gong", "--from", "2100-01-01"],
                "--from 2100-01-01 00:00 lies in the future",
            ),
        ],
    )
    def test_of_what_is_not_there_are_one_sentence(
        self, acme: Tenant, arguments: list[str], sentence: str
    ) -> None:
        done = acme.bench.run("plan", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(sentence)

    def test_name_an_account_that_is_paused_or_refused(self, acme: Tenant) -> None:
        bench, wanted = acme.bench, ("--workspace", "acme", "--source", "gong")
        acme.revoke()
        done = bench.run("plan", "sync", *wanted)
        assert (done.returncode, done.stderr) == (1, "")
        assert "not planned: Gong at 127.0.0.1" in done.stdout
        bench.run("pause", "gong", "--workspace", "acme")
        done = bench.run("plan", "backfill", *wanted, "--from", days_ago(60))
        assert (done.returncode, done.stdout) == (2, "")
        assert "is paused" in done.stderr


def test_a_plan_joins_no_channel_and_stores_nothing(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme")
    other = acme.order("channel", name="other", member=False)["channel"]
    acme.connect(channels=("general", other), join=True)
    acme.add()
    planned(bench, "sync", "--source", "slack")
    assert not acme.rows
    assert not acme.cursors
    assert acme.account.last_sync_at is None
    assert "conversations.join" not in acme.calls()


def test_a_plan_counts_behind_an_empty_first_page(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme", empty_pages=True).connected()
    for hours in range(1, 7):
        acme.add(hours_ago=hours)
    assert planned(bench, "sync", "--source", "slack")["items"]["likely"] == 6


def test_a_count_of_replies_that_is_none_ends_no_plan(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme").connected()
    acme.order("post", channel="general", text="odd", hours_ago=1, extra={"reply_count": 10**17})
    assert planned(bench, "sync", "--source", "slack")["api_calls"]["likely"] <= 4


def test_an_app_with_one_request_a_minute_is_planned_with_few_of_them(bench: Bench) -> None:
    world = {"channels": 5, "messages": 60, "span_hours": 600}
    acme = bench.workspace("acme", world=world, app_class="limited", settings={"app_class": "limited"})
    bench.choose(pacing=True)
    plan = plan_reading(SLACK, acme.account, bench.options, bench.worker(), None)
    assert plan.cost <= 8
    history = plan.estimate.calls["conversations.history"]
    assert history.least <= 5 * 4 <= history.most
    assert 15 <= plan.estimate.minutes <= 30
    assert plan.syncs in {2, 3}
    assert "3 of 5 channels were looked at" in plan.estimate.notes


def test_an_extraction_takes_what_the_plan_says(bench: Bench) -> None:
    key = "sk-secret"
    bench.order("openai/key", key=key)
    bench.configure(
        OPENAI_API_KEY=key,
        OPENAI_BASE_URL=f"{bench.sim.base_url}/openai/v1",
        OPENAI_MODEL="gpt-test",
        OPENAI_PART_TOKENS="1000",
        OPENAI_INPUT_PRICE="2",
        OPENAI_OUTPUT_PRICE="8",
    )
    acme = GongTenant(bench, "acme", page_size=100, calls=12, sentences=60).connected()
    acme.add()

    def extracting(**environ: str) -> Any:
        return planned(bench, "extract", "--source", "gong", **environ)

    def extract() -> Any:
        [report] = json.loads(bench.run("extract", "gong", "--workspace", "acme", "--json").stdout)
        return report

    of_a_sync = planned(bench, "sync", "--source", "gong")["features"]
    acme.reads()
    told = extracting()
    assert told["transcripts"] == len(acme.living) == of_a_sync["transcripts"]
    assert abs(of_a_sync["input_tokens"] - told["input_tokens"]) <= TENTH * told["input_tokens"]
    report = extract()
    assert (told["requests"], report["remaining"]) == (report["requests"], 0)
    assert told["requests"] > told["transcripts"]  # long ones are read in parts
    assert abs(told["dollars"] - (2 * told["input_tokens"] + 8 * told["output_tokens"]) / 1_000_000) <= 0.01
    assert extracting()["requests"] == 0
    anew = extracting(OPENAI_MODEL="gpt-next", OPENAI_INPUT_PRICE="", OPENAI_OUTPUT_PRICE="")
    assert (anew["requests"], anew["dollars"]) == (told["requests"], None)
    assert anew["output_tokens"] < told["output_tokens"]  # by what answers there were
    assert extracting(OPENAI_MODEL="gpt-next", OPENAI_DAY_TOKENS="20000")["days"] > 1
    line = bench.run("plan", "extract", "--workspace", "acme").stdout.splitlines()[0]
    assert line.startswith("acme gong: 0 transcripts for the language model: 0 requests, 0 tokens in")
