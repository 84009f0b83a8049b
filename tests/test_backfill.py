"""Reading further back than an account was read: nothing twice, nothing lost, and what is new first."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from time import sleep as pause
from typing import Any

import pytest

from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.login import Clock
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.plan import ChannelCursor, Now, next_plan, reaching
from ingest_assets.sources.slack.records import ts_of
from ingest_assets.sources.slack.stretches import Range
from ingest_assets.sources.source import Source
from ingest_assets.storage.account_leases import take_lease
from ingest_assets.sync.account import sync
from ingest_assets.sync.stop import Stop
from tests.sources.tenants import TENANTS, GmailTenant, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench, Workspace

DAY = 24.0
LONG_AGO = (45, 75, 100)
"""Days; each lies outside of the history of 30 days."""
NOTHING_READ_TWICE = {
    "slack": {"users.conversations": 1, "conversations.history": 2},
    "gong": {"calls.extensive": 4, "calls.transcript": 3, "workspaces.list": 1},
    "fathom": {"meetings.list": 4},
    "gmail": {"history.list": 1, "threads.list": 3, "batch": 3},
}
"""What is new, and what lies before: Slack's in one request, that of the others in three windows."""


NOW = datetime(2026, 11, 1, tzinfo=UTC)
AT = Now(NOW, NOW, NOW)


def ago(days: float) -> str:
    return ts_of(NOW - timedelta(days=days))


def part(since: float, until: float) -> Range:
    """A range of a channel, by days."""
    return Range(oldest=ago(since), latest=ago(until))


def days_ago(days: float) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%S}"


def backfill(tenant: Tenant, *arguments: str, code: int = 0) -> Any:
    """Run the command, and return what it says of the first account."""
    wanted = ("--workspace", tenant.name, "--source", tenant.source.name, "--json")
    done = tenant.bench.run("backfill", *wanted, *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    return json.loads(done.stdout)[0]


def asked_until(bench: Bench, process: subprocess.Popen[str], requests: int) -> None:
    """Wait until the vendors got so many requests, from a process that goes on meanwhile."""
    deadline = monotonic() + 30
    while bench.requests() < requests:
        assert monotonic() < deadline
        assert process.poll() is None, process.communicate()
        pause(0.005)


def interrupted(bench: Bench, *arguments: str, requests: int) -> str:
    """Press Ctrl-C after so many requests of a backfill; return what it printed."""
    since = bench.requests()
    process = bench.start("backfill", *arguments)
    try:
        asked_until(bench, process, since + requests)
        process.send_signal(signal.SIGINT)
        began = monotonic()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert monotonic() - began < 2
    assert (process.returncode, err) == (130, "Stopping at a safe place ... (once more: at once)\n")
    return out


def sync_for(bench: Bench, acme: Workspace, *, minutes: float) -> None:
    """Sync, and end at a safe place once so much time is over, by the clock that waits for nothing."""
    stop, until = Stop(), bench.clock.now() + timedelta(minutes=minutes)

    async def sleep(seconds: float) -> None:
        await bench.clock.sleep(seconds)
        if bench.clock.now() >= until:
            stop.request()

    clock = Clock(now=bench.clock.now, sleep=sleep)
    sync(SLACK, acme.account, bench.options, replace(bench.worker(), clock=clock, stop=stop))


def states(tenant: Tenant, *arguments: str) -> set[str]:
    """What `coverage` says of the account, but for what is left out."""
    done = tenant.bench.run("coverage", "--workspace", tenant.name, "--json", *arguments)
    return {entry["state"] for entry in json.loads(done.stdout)["coverage"]} - {"left out", "audited"}


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    """A workspace that was read as far as its source's setting says, which holds more."""
    source: Source = request.param
    made = TENANTS[source.name](bench, "acme").connected()
    made.add(hours_ago=DAY)
    return made


class TestEverySource:
    def test_reads_what_is_missing_and_nothing_else(self, tenant: Tenant) -> None:
        recent = tenant.add(hours_ago=20 * DAY)
        old = [tenant.add(hours_ago=days * DAY) for days in LONG_AGO]
        older = tenant.add(hours_ago=130 * DAY)
        tenant.reads()
        assert recent in tenant.living
        assert not tenant.living & {*old, older}
        wanted = ("--from", days_ago(110))
        assert states(tenant, *wanted) == {"covered", "outside history"}
        since = tenant.bench.requests()
        said = backfill(tenant, *wanted)
        assert (said["covered"], said["reason"], said["syncs"], said["new"]) == (True, None, 1, 3)
        assert tenant.calls(since) == NOTHING_READ_TWICE[tenant.source.name]
        assert tenant.living >= {recent, *old}
        assert older not in tenant.living
        assert states(tenant, *wanted) == {"covered"}

        since = tenant.bench.requests()  # once more: there is nothing to ask for
        assert backfill(tenant, *wanted) | {"from": "", "to": ""} == said | {
            "from": "", "to": "", "syncs": 0, "new": 0, "api_calls": 0,
        }  # fmt: skip
        shorter = tenant.bench.run("sync", tenant.source.name, "--workspace", "acme", "--history-days", "2")
        assert "nothing is deleted" in shorter.stderr
        assert tenant.living >= {recent, *old}
        assert states(tenant, *wanted) == {"covered"}

    def test_a_history_of_its_own_holds_from_the_first_sync_on(self, tenant: Tenant) -> None:
        old, older = tenant.add(hours_ago=100 * DAY), tenant.add(hours_ago=140 * DAY)
        sync = ("sync", tenant.source.name, "--workspace", "acme", "--json", "--history-days")
        first = tenant.bench.run(*sync, "110")
        assert (first.returncode, first.stderr) == (0, "")
        assert old in tenant.living
        assert older not in tenant.living
        assert tenant.bench.run(*sync, "150").returncode == 0
        assert older in tenant.living
        assert states(tenant, "--from", days_ago(149)) == {"covered"}
        tenant.connect()  # anew
        assert tenant.account.history_from is not None

    def test_that_is_killed_goes_on_where_it_was_and_loses_and_repeats_nothing(self, tenant: Tenant) -> None:
        bench, old = tenant.bench, {tenant.add(hours_ago=days * DAY) for days in range(40, 130, 3)}
        tenant.reads()
        since, wanted = bench.requests(), ("--from", days_ago(135))
        arguments = ("--workspace", "acme", "--source", tenant.source.name, *wanted)
        bench.order("latency", seconds=0.03)
        process = bench.start("backfill", *arguments, INGEST_LEASE_SECONDS="1")
        asked_until(bench, process, since + 7)
        process.kill()
        process.communicate()
        bench.order("latency", seconds=0)
        assert not old <= tenant.living
        first = tenant.calls(since)[tenant.listing]
        new = tenant.add(hours_ago=0.01)
        assert backfill(tenant, *wanted)["covered"]
        assert tenant.living >= {*old, new}
        assert states(tenant, "--from", days_ago(134)) == {"covered"}
        content, both = tenant.content(), tenant.calls(since)[tenant.listing]
        bench.execute("delete from ingest.sync_cursors")
        since = bench.requests()
        tenant.reads()
        assert both <= tenant.calls(since)[tenant.listing] + first + 2  # what is new, and one that was cut
        assert tenant.content() == content

    def test_what_is_wanted_first_ends_it_and_the_rest_is_no_hole(self, tenant: Tenant) -> None:
        between, old = tenant.add(hours_ago=50 * DAY), tenant.add(hours_ago=100 * DAY)
        tenant.reads()
        said = backfill(tenant, "--from", days_ago(110), "--to", days_ago(80))
        assert said["covered"]
        assert old in tenant.living
        assert between not in tenant.living
        assert "unread" in states(tenant)
        tenant.reads()
        assert between in tenant.living
        assert states(tenant, "--from", days_ago(109)) == {"covered"}

    @pytest.mark.parametrize("tenant", [BY_NAME["fathom"]], ids=["fathom"], indirect=True)
    def test_waits_for_a_run_that_reads_the_account_and_finds_what_it_did(self, tenant: Tenant) -> None:
        old = tenant.add(hours_ago=100 * DAY)
        tenant.reads()
        with tenant.bench.engine.begin() as conn:
            length, now = timedelta(seconds=3), datetime.now(UTC)
            taken = take_lease(conn, tenant.account.account_id, "a run", length, now=now, reservation=None)
        assert taken is not None
        arguments = ("--workspace", "acme", "--source", tenant.source.name, "--from", days_ago(110))
        done = tenant.bench.run("backfill", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        first, *_, last = done.stdout.splitlines()
        assert first.endswith("another run reads this account; waiting for it.")
        assert ": covered from " in last
        assert old in tenant.living

    @pytest.mark.parametrize("tenant", [BY_NAME["gong"]], ids=["gong"], indirect=True)
    def test_an_account_that_cannot_be_read_so_far_back_is_told_in_one_sentence(self, tenant: Tenant) -> None:
        source = tenant.source.name

        def refused(*arguments: str, workspace: str = "acme") -> str:
            done = tenant.bench.run("backfill", "--source", source, "--workspace", workspace, *arguments)
            assert (done.returncode, done.stdout) == (2, "")
            return done.stderr

        wanted = ("--from", days_ago(90))
        assert refused("--from", "2100-01-01").startswith("--from 2100-01-01 00:00 lies in the future")
        assert refused("--from", "1970-01-01").startswith("1970-01-01 is too long ago; choose 2000-01-01")
        assert refused(*wanted, "--to", days_ago(91)).startswith("--to lies before --from")
        assert refused(*wanted, "--to", wanted[1]).startswith("--to lies before --from")
        assert refused(*wanted, workspace="nobody").startswith("There is no workspace 'nobody'")
        assert refused(*wanted, "--name", "else").startswith(f"Workspace 'acme' has no {source} account 'else'")
        assert "Invalid value for '--from'" in refused("--from", "yesterday")
        tenant.bench.run("pause", source, "--workspace", "acme")
        assert "is paused; `ingest-assets resume" in refused(*wanted)
        tenant.connect(keep_days=60)
        assert "is kept, so nothing older is read; choose " in refused(*wanted)
        tenant.connect(last_hours=48)
        assert "reads its last 48 hours only; connect it again without --last-hours" in refused(*wanted)
        too_far = tenant.bench.run("sync", source, "--workspace", "acme", "--history-days", "90")
        assert (too_far.returncode, too_far.stdout) == (2, "")
        assert "reads its last 48 hours only" in too_far.stderr
        assert tenant.account.history_from is None
        assert tenant.account.last_sync_at is None


class TestAPlanForAChannel:
    """Of Slack's: whatever was never read is walked now or left for later, and nothing new is passed over."""

    def test_holds_all_that_is_new_and_all_that_is_unread(self) -> None:
        chance = random.Random(7)  # noqa: S311
        for _ in range(500):
            ends = sorted(chance.uniform(0, 200) for _ in range(2 * chance.randrange(4)))
            unread = [part(since, until) for until, since in zip(ends[::2], ends[1::2], strict=True)]
            covered_from, covered_to = chance.uniform(100, 200), chance.choice([0.01, 5, 40])
            cursor = ChannelCursor(
                covered_from=ago(covered_from), covered_to=ago(covered_to), unread=unread, threads_at=NOW
            )
            wanted = chance.choice([ago(30), ago(300)])
            plan = next_plan(reaching(cursor, wanted), AT, timedelta(days=30), limited=False, stored_pages=1)
            never_read = [*unread, part(covered_to, 0), *([part(300, covered_from)] if wanted == ago(300) else [])]
            held = [*plan.left, *(step.range for step in plan.steps)]
            for place in range(301):
                moment = ago(place + 0.005)
                if any(one.oldest <= moment <= one.latest for one in never_read):
                    assert any(one.oldest <= moment <= one.latest for one in held)
            assert all(one in [*plan.cursor.unread] for one in plan.left)


class TestSlack:
    @pytest.fixture
    def acme(self, bench: Bench) -> SlackTenant:
        made = SlackTenant(bench, "acme")
        made.connect()
        return made

    def test_ctrl_c_ends_it_at_a_safe_place_and_the_same_command_goes_on(self, acme: SlackTenant) -> None:
        bench = acme.bench
        items = [{"text": f"message {place}", "hours_ago": 40 * DAY + place} for place in range(150)]
        acme.order("posts", channel="general", items=items)
        acme.reads()
        since, wanted = bench.requests(), ("--workspace", "acme", "--source", "slack", "--from", days_ago(60))
        bench.order("latency", seconds=0.05)
        out = interrupted(bench, *wanted, requests=12)
        assert acme.account.lease_until is None
        kept = acme.living
        assert 0 < len(kept) < 150
        assert "covered" not in out
        bench.order("latency", seconds=0)
        live = acme.add(hours_ago=0.1)  # a sync of the schedule comes between
        acme.sync(sync_minutes=1e-9)
        between = bench.requests()
        assert backfill(acme, "--from", days_ago(60))["covered"]
        assert len(acme.living) == 151
        assert live in acme.living
        pages = acme.calls(since)["conversations.history"]
        assert pages <= 150 // 3 + 8  # a page of three each, those of what is new, and one that was cut
        assert acme.calls(between)["conversations.history"] < pages

    def test_an_answer_that_is_on_its_way_when_it_is_stopped_is_not_asked_for_again(
        self, acme: SlackTenant
    ) -> None:
        bench, threads = acme.bench, 24
        for place in range(threads):
            ts = acme.add(hours_ago=50 * DAY + place).partition(":")[2]
            acme.order("post", channel="general", text="a reply", thread_ts=ts, hours_ago=49 * DAY)
        acme.reads()
        since, wanted = bench.requests(), ("--workspace", "acme", "--source", "slack", "--from", days_ago(60))
        bench.order("latency", seconds=0.4)
        interrupted(bench, *wanted, requests=8)
        bench.order("latency", seconds=0)
        assert 0 < len(acme.living) < 2 * threads
        assert backfill(acme, "--from", days_ago(60))["covered"]
        assert len(acme.living) == 2 * threads
        assert acme.calls(since)["conversations.replies"] == threads

    def test_what_waits_for_a_slow_database_when_it_is_stopped_is_not_asked_for_again(self, bench: Bench) -> None:
        names = ["first", "second", "late"]
        acme = bench.workspace("acme", *names)
        for name in names:
            for place in range(3):
                ts = acme.say(name, "a parent", hours_ago=50 * DAY + place)
                acme.say(name, "a reply", thread_ts=ts, hours_ago=49 * DAY)
        acme.reads()
        since, wanted = bench.requests(), ("--workspace", "acme", "--source", "slack", "--from", days_ago(60))
        bench.order("latency", seconds=0.2)
        late = {"method": "conversations.replies", "channel": "late", "times": -1}
        acme.fault("slow", seconds=0.1, **late)
        bench.execute(
            "create function slow() returns trigger language plpgsql as "
            "'begin perform pg_sleep(0.15); return null; end'"
        )
        bench.execute("create trigger slow after insert on raw.slack_messages execute function slow()")
        interrupted(bench, *wanted, requests=7 + 9)  # lists and histories; one for each thread
        assert acme.calls(since=since)["conversations.replies"] == 9
        assert len(acme.living) == 18

    def test_an_archived_channel_that_was_read_to_its_end_and_a_thread_are_read_back(
        self, acme: SlackTenant
    ) -> None:
        old = acme.add(hours_ago=100 * DAY)
        ts = old.partition(":")[2]
        reply = acme.order("post", channel="general", text="a reply", thread_ts=ts, hours_ago=99 * DAY)["ts"]
        acme.add()
        acme.reads()
        acme.order("membership", channel="general", member=True, archived=True)
        acme.reads()
        assert backfill(acme, "--from", days_ago(110))["covered"]
        assert acme.living >= {old, f"{acme.channel}:{reply}"}
        since = acme.bench.requests()
        acme.reads()
        assert "conversations.history" not in acme.calls(since)

    def test_an_app_with_one_request_a_minute_comes_to_its_history_and_what_is_new(self, bench: Bench) -> None:
        names, limited = [f"channel-{place}" for place in range(12)], {"app_class": "limited"}
        acme = bench.workspace("acme", *names, **limited, settings=limited)
        old = set(acme.say_many("channel-3", 40, hours_ago=50 * DAY))
        bench.choose(pacing=True, audit_days=0, audit_threads_days=0)
        assert acme.sync(sync_minutes=600).status == "success"
        bench.execute("update ingest.accounts set history_from = now() - interval '60 days'")
        tries, new = 0, set[str]()
        while not old <= acme.living.keys():  # there are more channels than a sync has requests
            new.add(acme.say(names[tries % 12], "new"))
            sync_for(bench, acme, minutes=10)
            tries += 1
            assert tries < 8
        assert acme.sync(sync_minutes=600).status == "success"
        assert new <= acme.living.keys()
        assert tries > 1


def test_gongs_history_waits_for_its_share_of_the_day_and_says_so(bench: Bench) -> None:
    bench.configure(GONG_CALLS_PER_DAY="60", GONG_BACKFILL_SHARE="0.1")
    acme = GongTenant(bench, "acme").connected()
    new = acme.add()
    acme.reads()
    for days in range(40, 70):
        acme.add(hours_ago=days * DAY)
    said = backfill(acme, "--from", days_ago(80), code=1)
    assert not said["covered"]
    assert "waits until " in said["reason"]
    assert new in acme.living


def test_a_mailbox_whose_labels_are_chosen_is_read_back_by_them(bench: Bench) -> None:
    acme = GmailTenant(bench, "acme")
    acme.order("label", name="Customers")
    acme.connect(labels=("Customers",))
    inside = acme.message(text="in", labels=["Customers"], hours_ago=100 * DAY)["thread"]
    outside = acme.message(text="out", hours_ago=100 * DAY)["thread"]
    acme.message(text="now", labels=["Customers"])
    acme.reads()
    assert backfill(acme, "--from", days_ago(110))["covered"]
    assert inside in acme.living
    assert outside not in acme.living
