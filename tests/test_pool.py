"""Many accounts in one run: each has its own fate, and the report sums them up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.errors import Transient
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.accounts import set_state
from ingest_assets.storage.history import outage
from ingest_assets.storage.schema import DISCONNECTED, PAUSED
from ingest_assets.sync.account import sync
from ingest_assets.sync.pool import DOWN, sync_workspaces
from ingest_assets.sync.result import SyncResult, report
from tests.workbench import Bench, Workspace

REPORT = {
    "status",
    "total_ingested",
    "new",
    "changed",
    "deleted",
    "rejected",
    "api_calls",
    "successful_workspaces",
    "failed_workspaces",
    "successful_accounts",
    "failed_accounts",
    "accounts",
}
ACCOUNT = {
    "ignored_headers",
    "unreadable",
    "workspace",
    "account",
    "status",
    "reason",
    "new",
    "changed",
    "deleted",
    "rejected",
    "api_calls",
    "left_out",
    "redacted",
    "read_from",
    "read_to",
    "seconds",
}


@pytest.fixture
def fleet(bench: Bench) -> list[Workspace]:
    """Six connected workspaces with three messages each, more than are synced at the same time."""
    made = [bench.workspace(name, "general") for name in ("acme", "globex", "hooli", "initech", "stark", "wayne")]
    for workspace in made:
        workspace.say_many("general", 3)
    return made


def run(bench: Bench, *names: str, **changes: Any) -> dict[str, list[SyncResult]]:
    return dict(sync_workspaces(SLACK, names, bench.options, bench.worker(**changes)))


def names_of(fleet: list[Workspace]) -> list[str]:
    return [workspace.name for workspace in fleet]


class TestAVendorThatIsDown:
    def test_is_not_asked_for_every_account_and_the_rest_stay_due(self, bench: Bench) -> None:
        made = [bench.workspace(f"w{number:02}", "general") for number in range(DOWN + 10)]
        bench.order("fault", kind="status", status=503, times=-1)
        found = run(bench, *names_of(made), parallel_accounts=1)
        assert Counter(result.status for [result] in found.values()) == {"failed": DOWN, "skipped": 10}
        assert Counter(workspace.account.attempts for workspace in made) == {1: DOWN, 0: 10}
        assert "Slack seems to be down" in next(
            str(result.reason) for [result] in found.values() if result.status == "skipped"
        )

    def test_is_not_told_from_one_workspaces_many_accounts(self, bench: Bench) -> None:
        made = [bench.team(f"acme{number:02}", "general") for number in range(DOWN + 2)]
        for team in made:
            team.name = "acme"
            bench.connect(team)
            team.fault("status", status=503, times=-1)
        globex = bench.workspace("globex", "general")
        found = run(bench, "acme", "globex", parallel_accounts=1)
        assert [result.status for result in found["acme"]] == ["failed"] * len(made)
        assert [result.status for result in found["globex"]] == ["success"]
        with bench.engine.connect() as conn:
            assert outage(conn, "slack", globex.account.created_at, DOWN) is None


class TestAWorkspaceWithManyAccounts:
    @pytest.fixture
    def names(self, bench: Bench) -> tuple[str, ...]:
        """Three accounts of acme, connected before globex and hooli."""
        for number in range(3):
            team = bench.team(f"acme{number}", "general")
            team.name = "acme"
            bench.connect(team)
            team.say_many("general", 3)
        for name in ("globex", "hooli"):
            bench.workspace(name, "general").say_many("general", 3)
        return "acme", "globex", "hooli"

    def test_takes_turns_with_the_others(self, bench: Bench, names: tuple[str, ...]) -> None:
        run(bench, *names, parallel_accounts=1)
        with bench.engine.connect() as conn:
            order = conn.execute(text("select workspace_id from ingest.syncs order by sync_id")).scalars().all()
        assert order == ["acme", "globex", "hooli", "acme", "acme"]

    def test_has_the_time_of_one_in_a_run_that_nobody_started_by_hand(
        self, bench: Bench, names: tuple[str, ...]
    ) -> None:
        due = bench.clock.now()
        bench.execute("update ingest.accounts set due_at = :due", due=due)
        worker = replace(bench.worker(parallel_accounts=1, sync_minutes=1e-9), reservation="a tick")
        found = dict(sync_workspaces(SLACK, names, bench.options, worker))
        assert Counter(result.status for result in found["acme"]) == {"partial": 1, "skipped": 2}
        assert [result.status for result in found["globex"]] == ["partial"]
        with bench.engine.connect() as conn:
            kept = conn.execute(text("select count(*) from ingest.accounts where due_at = :due"), {"due": due})
            assert kept.scalar_one() == 2
        again = run(bench, *names)  # as a person asks for it: without a limit
        assert [result.status for result in again["acme"]] == ["success"] * 3


class TestAFleet:
    def test_is_synced_completely_by_a_bounded_pool(self, bench: Bench, fleet: list[Workspace]) -> None:
        found = run(bench, *names_of(fleet), parallel_accounts=2)
        assert {name: [result.status for result in one] for name, one in found.items()} == {
            name: ["success"] for name in names_of(fleet)
        }
        for workspace in fleet:
            assert workspace.held() == workspace.shown()

    @pytest.mark.parametrize(
        "trouble",
        [{"kind": "status", "status": 500}, {"kind": "error", "error": "token_revoked"}, {"kind": "garbage_page"}],
        ids=str,
    )
    def test_goes_on_where_one_workspace_fails(
        self, bench: Bench, fleet: list[Workspace], trouble: dict[str, Any]
    ) -> None:
        acme, *others = fleet
        acme.fault(times=-1, **trouble)
        found = run(bench, *names_of(fleet))
        assert [result.status for result in found["acme"]] == ["failed"]
        for workspace in others:
            assert workspace.held() == workspace.shown()
        summary = report([result for one in found.values() for result in one])
        assert (summary["status"], summary["failed_workspaces"], summary["successful_workspaces"]) == (
            "partial",
            1,
            5,
        )

    def test_goes_on_where_a_bug_of_ours_strikes(self, bench: Bench, fleet: list[Workspace]) -> None:
        acme, *others = fleet
        bench.execute("update ingest.accounts set settings = '{\"nonsense\": 1}' where workspace_id = 'acme'")
        found = run(bench, *names_of(fleet))
        assert [result.status for result in found["acme"]] == ["failed"]
        assert acme.account.state == "failing"
        for workspace in others:
            assert workspace.held() == workspace.shown()

    def test_goes_on_where_postgresql_refuses_one_accounts_row(self, bench: Bench, fleet: list[Workspace]) -> None:
        """An index cannot hold a value of 2,704 bytes and more, which PostgreSQL calls an OperationalError."""
        acme, *others = fleet
        noise = "".join(sha256(str(number).encode()).hexdigest() for number in range(200))
        bench.execute("create index on raw.slack_messages (text)")
        acme.say("general", noise)
        found = run(bench, *names_of(fleet))
        [result] = found["acme"]
        assert (result.status, result.counts.rejected, len(acme.rejected)) == ("success", 1, 1)
        assert noise[:20] not in str(result)
        for workspace in others:
            assert workspace.held() == workspace.shown()

    def test_goes_on_where_one_accounts_statement_takes_too_long(
        self, bench: Bench, fleet: list[Workspace]
    ) -> None:
        _acme, *others = fleet
        name = bench.app.database_url.partition("?")[0].rpartition("/")[2]
        bench.execute(
            "create function slow() returns trigger language plpgsql as $$ begin"
            " if new.workspace_id = 'acme' then perform pg_sleep(60); end if; return new; end $$"
        )
        bench.execute(
            "create trigger slow before insert on raw.slack_messages for each row execute function slow()"
        )
        bench.execute(f"alter database {name} set statement_timeout = '1s'")
        bench.close()  # connections from now on have it
        found = run(bench, *names_of(fleet))
        assert [(result.status, type(result.error)) for result in found["acme"]] == [("failed", Transient)]
        for workspace in others:
            assert workspace.held() == workspace.shown()

    def test_syncs_only_the_workspaces_that_are_named(self, bench: Bench, fleet: list[Workspace]) -> None:
        assert set(run(bench, "acme", "hooli")) == {"acme", "hooli"}
        assert [workspace.name for workspace in fleet if workspace.rows] == ["acme", "hooli"]

    def test_tells_of_a_workspace_without_an_account(self, bench: Bench, fleet: list[Workspace]) -> None:
        assert run(bench, "acme", "nobody")["nobody"] == []
        assert fleet[0].rows

    def test_keeps_each_workspaces_rows_apart(self, bench: Bench) -> None:
        one, other = (
            bench.workspace(name, {"name": "general", "id": "C0SAME"}, id=f"T0{name.upper()}")
            for name in ("acme", "globex")
        )
        said = one.say("general", "hello", hours_ago=1)
        other.say("general", "hello", ts=said)
        run(bench, "acme", "globex")
        assert set(one.rows) == set(other.rows) == {said}
        assert one.rows[said].account_id != other.rows[said].account_id

    def test_syncs_every_account_of_a_workspace_and_reports_them_together(self, bench: Bench) -> None:
        sales, support = bench.team("sales", "general"), bench.team("support", "general")
        sales.name = support.name = "acme"
        for workspace in (sales, support):
            bench.connect(workspace)
            workspace.say("general", "hello")
        support.fault("status", status=500, times=-1)
        found = run(bench, "acme")
        assert sorted(result.status for result in found["acme"]) == ["failed", "success"]
        summary = report(found["acme"])
        assert (summary["status"], summary["failed_workspaces"], summary["successful_workspaces"]) == (
            "partial",
            1,
            0,
        )
        assert (summary["failed_accounts"], summary["successful_accounts"]) == (1, 1)


class TestAnAccountThatChangesWhileItsBatchIsUnderWay:
    @pytest.mark.parametrize("state", [PAUSED, DISCONNECTED])
    def test_is_left_alone(self, bench: Bench, state: str) -> None:
        acme = bench.workspace("acme", "general")
        before, since = acme.account, bench.requests()
        with bench.engine.begin() as conn:
            set_state(conn, [before.account_id], state, "by hand")
        result = sync(SLACK, before, bench.options, bench.worker())
        assert (result.status, acme.account.state, bench.requests() - since) == ("skipped", state, 0)

    def test_is_read_with_the_login_that_it_has_now(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        acme.say("general", "hello")
        before = acme.account
        bench.order("slack/token", team=acme.team, revoked=True)
        acme.token = acme.token + "-new"
        bench.order("slack/token", team=acme.team, token=acme.token)
        bench.connect(acme)
        assert sync(SLACK, before, bench.options, bench.worker()).status == "success"
        assert acme.held() == acme.shown()


class TestAReservation:
    RESERVE = "update ingest.accounts set due_at = :at, reserved_for = 'this', reserved_until = :until"

    def run(self, bench: Bench, reservation: str | None) -> list[str]:
        worker = replace(bench.worker(), reservation=reservation)
        [(_, results)] = sync_workspaces(SLACK, ["acme"], bench.options, worker)
        return [result.status for result in results]

    def test_keeps_other_runs_away_until_it_ends(self, bench: Bench) -> None:
        acme, now = bench.workspace("acme", "general"), bench.clock.now()
        bench.execute(self.RESERVE, at=now, until=now + timedelta(minutes=2))
        assert self.run(bench, "another") == ["skipped"]
        assert self.run(bench, "this") == ["success"]
        assert (acme.account.reserved_for, acme.account.reserved_until, acme.account.due_at) == (None, None, None)
        bench.execute(self.RESERVE, at=now, until=bench.clock.now())
        assert self.run(bench, "another") == ["success"]

    def test_lets_no_run_read_what_is_due_later(self, bench: Bench) -> None:
        """A vendor that said when to come back is not asked sooner because a sibling of the account is due."""
        acme, now = bench.workspace("acme", "general"), bench.clock.now()
        later = now + timedelta(hours=1)
        bench.execute(self.RESERVE, at=later, until=later)
        assert self.run(bench, "this") == ["skipped"]
        bench.execute("update ingest.accounts set attempts = 1, reason = 'down'")
        assert self.run(bench, "this") == ["failed"]
        assert (acme.account.attempts, acme.account.due_at) == (1, later)

    def test_is_nobodys_in_a_run_that_a_person_starts(self, bench: Bench) -> None:
        bench.workspace("acme", "general")
        later = bench.clock.now() + timedelta(hours=1)
        bench.execute(self.RESERVE, at=later, until=later)
        assert self.run(bench, None) == ["success"]


class TestAStop:
    def test_ends_those_under_way_at_a_safe_place_and_begins_no_other(
        self, bench: Bench, fleet: list[Workspace]
    ) -> None:
        """Who stops taking results, as a run that is terminated, waits for nobody's whole sync."""
        fleet[0].say_many("general", 5)
        for workspace in fleet[1:]:
            workspace.fault("slow", seconds=60, times=-1, method="conversations.history")
        results = sync_workspaces(SLACK, names_of(fleet), bench.options, bench.worker())
        assert next(results)[0] == "acme"
        results.close()  # type: ignore[attr-defined]  # it is a generator
        assert [workspace.account.lease_until for workspace in fleet] == [None] * 6
        assert {workspace.account.state for workspace in fleet} == {"active"}
        assert [bool(workspace.rows) for workspace in fleet] == [True] + [False] * 5
        bench.sim.delete("/_sim/fault")
        assert {one.status for found in run(bench, *names_of(fleet)).values() for one in found} == {"success"}

    def test_that_came_before_lets_nobody_begin(self, bench: Bench, fleet: list[Workspace]) -> None:
        worker = bench.worker()
        worker.stop.request()
        found = dict(sync_workspaces(SLACK, names_of(fleet), bench.options, worker))
        assert {one.reason for results in found.values() for one in results} == {"stopped; the next run goes on"}
        assert not any(workspace.rows for workspace in fleet)


class TestTheReport:
    def test_has_exactly_the_documented_keys(self, bench: Bench, fleet: list[Workspace]) -> None:
        found = run(bench, *names_of(fleet))
        summary = report([result for one in found.values() for result in one])
        assert set(summary) == REPORT
        assert all(set(entry) == ACCOUNT for entry in summary["accounts"])
        assert summary["status"] == "success"
        assert summary["total_ingested"] == summary["new"] == 18
        assert summary["successful_workspaces"] == summary["successful_accounts"] == 6
        assert summary["api_calls"] == sum(sum(workspace.calls().values()) for workspace in fleet) - probes(fleet)

    def test_is_also_what_the_history_keeps(self, bench: Bench, fleet: list[Workspace]) -> None:
        run(bench, "acme")
        [kept] = fleet[0].history
        assert set(kept.summary) == REPORT
        assert (kept.status, kept.summary["new"], kept.error_kind) == ("success", 3, None)

    def test_of_nothing_is_skipped(self) -> None:
        assert report([])["status"] == "skipped"


def probes(fleet: list[Workspace]) -> int:
    """Requests that were made to connect."""
    return sum(workspace.calls()["auth.test"] for workspace in fleet)
