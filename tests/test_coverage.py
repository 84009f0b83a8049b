"""`ingest-assets coverage` tells the truth: what was read is covered, and each thing that is missing is a gap."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.sources import SOURCES
from ingest_assets.sources.source import Source
from tests.sources.tenants import TENANTS, GongTenant, Tenant
from tests.workbench import Bench, Workspace


def covered(bench: Bench, *arguments: str, workspace: str = "acme") -> tuple[int, list[dict[str, Any]]]:
    done = bench.run("coverage", "--workspace", workspace, "--json", *arguments)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["complete"] is (done.returncode == 0)
    return done.returncode, [entry for entry in found["coverage"] if entry["state"] != "left out"]


def gaps(bench: Bench, *arguments: str) -> list[tuple[str, str, str]]:
    """Return (part, state, reason) of what is missing; the exit code agrees."""
    code, entries = covered(bench, *arguments)
    found = [
        (entry["part"], entry["state"], entry["reason"])
        for entry in entries
        if entry["state"] not in {"covered", "acknowledged", "audited"}
    ]
    assert code == (1 if found else 0)
    return found


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    source: Source = request.param
    made = TENANTS[source.name](bench, "acme").connected()
    made.add()
    return made


class TestEverySource:
    def test_is_complete_once_everything_is_read(self, tenant: Tenant) -> None:
        tenant.reads()
        before = datetime.now(UTC)
        code, entries = covered(tenant.bench)
        assert code == 0
        assert {entry["state"] for entry in entries} <= {"covered", "audited"}
        for entry in [entry for entry in entries if entry["state"] == "covered"]:
            since, until = (datetime.fromisoformat(entry[name]) for name in ("range_from", "range_to"))
            assert timedelta(days=29) < until - since < timedelta(days=31)
            assert abs(before - until) < timedelta(minutes=5)
        plain = tenant.bench.run("coverage", "--workspace", "acme").stdout
        assert plain.splitlines()[-1].startswith("Complete, as of ")

    def test_was_never_read_before_its_first_sync(self, tenant: Tenant) -> None:
        assert gaps(tenant.bench) == [("account", "not read", "it was never read")]

    def test_is_not_complete_with_a_login_that_is_refused(self, tenant: Tenant) -> None:
        tenant.reads()
        tenant.revoke()
        tenant.sync()
        [(part, state, reason)] = gaps(tenant.bench)
        assert (part, state) == ("account", "not read")
        assert reason == tenant.account.reason

    def test_is_not_complete_with_an_item_that_was_set_aside(self, tenant: Tenant) -> None:
        tenant.add_malformed()
        tenant.reads()
        assert [state for _part, state, _reason in gaps(tenant.bench)] == ["rejected"]

    @pytest.mark.parametrize("tenant", [one for one in SOURCES if one.name != "gmail"], indirect=True)
    def test_is_not_complete_once_what_is_old_was_not_looked_at_again_in_time(self, tenant: Tenant) -> None:
        tenant.add(hours_ago=24 * 29)
        tenant.reads()
        for days, due in ((-8, set()), (-9, {"audit due"})):
            moved = f"(now() + interval '{days} days')::text"
            tenant.bench.execute(
                "update ingest.sync_cursors set cursor = case when cursor ? 'wide_at' then cursor || "
                f"jsonb_build_object('wide_at', {moved}) else jsonb_set(cursor, '{{audited,messages}}', "
                "jsonb_build_array(jsonb_build_object('oldest', '1700000000.000000', "
                f"'latest', '1700000001.000000', 'read_at', {moved}))) end where cursor ? 'covered_from'"
            )
            assert {state for _part, state, _reason in gaps(tenant.bench)} == due

    def test_says_what_lies_before_its_history(self, tenant: Tenant) -> None:
        tenant.reads()
        found = gaps(tenant.bench, "--from", "2020-01-01")
        assert {state for _part, state, _reason in found} == {"outside history"}
        assert gaps(tenant.bench, "--from", f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%d}") == []

    def test_says_what_lies_after_its_last_sync(self, tenant: Tenant) -> None:
        tenant.reads()
        tenant.bench.execute("update ingest.sync_cursors set updated_at = now() - interval '3 days'")
        tenant.bench.execute(
            "update ingest.sync_cursors set cursor = cursor || jsonb_build_object('covered_to', "
            "case when cursor ->> 'covered_to' like '%T%' then to_json(now() - interval '3 days') #>> '{}' "
            "else extract(epoch from now() - interval '3 days')::text end) where cursor ? 'covered_to'"
        )
        yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
        found = gaps(tenant.bench, "--to", yesterday)
        assert {(state, reason) for _part, state, reason in found} == {
            ("outside history", "after it was read last")
        }


class TestSlack:
    @pytest.fixture
    def acme(self, bench: Bench) -> Workspace:
        return bench.workspace("acme", "general", "deal-room")

    def test_a_channel_that_was_lost_is_a_gap_until_it_is_acknowledged(self, acme: Workspace) -> None:
        acme.say("deal-room", "hello")
        acme.reads()
        acme.order("membership", channel="deal-room", member=False)
        acme.sync()
        [(part, state, reason)] = gaps(acme.bench)
        assert (part, state) == ("#deal-room", "unreadable")
        assert "the bot was removed from it" in reason
        acme.bench.run("acknowledge", "slack", "#deal-room", "--workspace", "acme")
        assert gaps(acme.bench) == []

    def test_an_archived_channel_stays_covered(self, acme: Workspace) -> None:
        acme.say("deal-room", "hello")
        acme.reads()
        acme.bench.execute(
            "update ingest.sync_cursors set cursor = cursor || '{\"archived\": true}', "
            "updated_at = now() - interval '90 days' where stream <> ''"
        )
        _code, entries = covered(acme.bench, "--to", f"{datetime.now(UTC):%Y-%m-%d}")
        assert {entry["state"] for entry in entries} <= {"covered", "audited"}

    def test_a_sync_that_was_cut_leaves_ranges_unread_which_the_next_one_reads(self, acme: Workspace) -> None:
        acme.say_many("general", 30)
        acme.sync(sync_minutes=1e-9)
        assert gaps(acme.bench) != []
        acme.reads()
        assert gaps(acme.bench) == []


def test_a_transcript_that_is_not_there_yet_is_a_gap(bench: Bench) -> None:
    acme = GongTenant(bench, "acme").connected()
    acme.order("call", lines=["I was there."], hours_ago=1, transcript_after_seconds=36 * 3600)
    acme.reads()
    [(part, state, reason)] = gaps(bench)
    assert (part, state) == ("transcripts", "pending")
    assert reason.startswith("1 transcript is not there yet")


def test_what_an_account_leaves_out_is_said_and_is_no_gap(bench: Bench) -> None:
    acme = GongTenant(bench, "acme").connected()
    acme.order("call", lines=["Between us."], hours_ago=1, private=True)
    acme.reads()

    def left_out() -> set[str]:
        done = bench.run("coverage", "--workspace", "acme", "--json")
        assert done.returncode == 0
        return {entry["reason"] for entry in json.loads(done.stdout)["coverage"] if entry["state"] == "left out"}

    assert left_out() == {"private calls, by setting"}
    acme.connect(include_private=True, last_hours=48)
    assert left_out() == {"what is older than the chosen hours, by setting"}


def test_a_workspace_that_is_not_there_is_told(bench: Bench) -> None:
    done = bench.run("coverage", "--workspace", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no workspace 'nobody'")
