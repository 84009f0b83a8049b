"""Many accounts in one run: each has its own fate, and the report sums them up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ingest_assets.fleet import DOWN, sync_workspaces
from ingest_assets.sources.slack import SLACK
from ingest_assets.verdict import Verdict, report
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


def run(bench: Bench, *names: str, **changes: Any) -> dict[str, list[Verdict]]:
    return dict(sync_workspaces(SLACK, names, bench.options, bench.worker(**changes)))


def names_of(fleet: list[Workspace]) -> list[str]:
    return [workspace.name for workspace in fleet]


class TestAVendorThatIsDown:
    def test_is_not_asked_for_every_account_and_the_rest_stay_due(self, bench: Bench) -> None:
        made = [bench.workspace(f"w{number:02}", "general") for number in range(DOWN + 10)]
        bench.order("fault", kind="status", status=503, times=-1)
        found = run(bench, *names_of(made), parallel_accounts=1)
        assert Counter(verdict.status for [verdict] in found.values()) == {"failed": DOWN, "skipped": 10}
        assert Counter(workspace.account.attempts for workspace in made) == {1: DOWN, 0: 10}
        assert "Slack seems to be down" in next(
            str(verdict.reason) for [verdict] in found.values() if verdict.status == "skipped"
        )


class TestAFleet:
    def test_is_synced_completely_by_a_bounded_pool(self, bench: Bench, fleet: list[Workspace]) -> None:
        found = run(bench, *names_of(fleet), parallel_accounts=2)
        assert {name: [verdict.status for verdict in one] for name, one in found.items()} == {
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
        assert [verdict.status for verdict in found["acme"]] == ["failed"]
        for workspace in others:
            assert workspace.held() == workspace.shown()
        summary = report([verdict for one in found.values() for verdict in one])
        assert (summary["status"], summary["failed_workspaces"], summary["successful_workspaces"]) == (
            "partial",
            1,
            5,
        )

    def test_goes_on_where_a_bug_of_ours_strikes(self, bench: Bench, fleet: list[Workspace]) -> None:
        acme, *others = fleet
        bench.execute("update ingest.accounts set settings = '{\"nonsense\": 1}' where workspace_id = 'acme'")
        found = run(bench, *names_of(fleet))
        assert [verdict.status for verdict in found["acme"]] == ["failed"]
        assert acme.account.state == "failing"
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
        assert sorted(verdict.status for verdict in found["acme"]) == ["failed", "success"]
        summary = report(found["acme"])
        assert (summary["status"], summary["failed_workspaces"], summary["successful_workspaces"]) == (
            "partial",
            1,
            0,
        )
        assert (summary["failed_accounts"], summary["successful_accounts"]) == (1, 1)


class TestTheReport:
    def test_has_exactly_the_documented_keys(self, bench: Bench, fleet: list[Workspace]) -> None:
        found = run(bench, *names_of(fleet))
        summary = report([verdict for one in found.values() for verdict in one])
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
