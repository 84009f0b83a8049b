"""What a partition shows of a workspace with several accounts, of which some cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from ingest_assets.assets import records
from ingest_assets.assets.checks import FRESH
from ingest_assets.assets.partitions import workspaces
from ingest_assets.storage.queue import unshown_failures
from tests.dagster.pages import MESSAGES, Pages, opened
from tests.workbench import Bench


@pytest.fixture
def pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    with opened(bench, monkeypatch) as made:
        yield made


def shown(pages: Pages) -> dict[str, str]:
    """Return the partitions' colours."""
    statuses = pages.instance.get_status_by_partition(MESSAGES, ["acme"], workspaces) or {}
    return {key: status.value for key, status in statuses.items() if status is not None}


def metadata(result: Any) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node("sync_slack")
    return {name: value.value for name, value in event.metadata.items()}


def errors(pages: Pages, result: Any) -> list[str]:
    """Return what a run logged as errors of its own."""
    return [line for level, line in pages.log(result) if level == "ERROR"]


@pytest.mark.parametrize("kind", ["partition", "page", "batch"])
def test_one_lost_account_of_three_leaves_the_partition_green_and_a_check_names_it(
    pages: Pages, kind: str
) -> None:
    pages.join("acme", accounts=["ada", "bob", "cleo"])
    pages.revoke("cleo")
    result = {
        "partition": lambda: pages.sync("acme"),
        "page": lambda: pages.materialize(partition_key="acme"),
        "batch": lambda: pages.batch("acme"),
    }[kind]()
    assert result.success
    assert shown(pages) == {"acme": "MATERIALIZED"}
    found = metadata(result)
    assert found["accounts"].startswith("2 of 3; cleo: Slack refused")
    assert (found["successful_accounts"], found["failed_accounts"]) == (2, 1)
    assert found["dagster/partition_row_count"] == found["rows_new"] > 0
    assert pages.partitions() == {"FAILED": {"acme"}}
    reason = pages.reason("acme")
    assert reason.startswith("2 of 3 accounts can be read, ")
    assert "cleo: Slack refused" in reason
    assert errors(pages, result) == []
    with pages.bench.engine.connect() as conn:
        assert unshown_failures(conn, "slack", datetime.now(UTC)) == []  # no run has to show what a check shows


def test_the_retry_of_a_lost_account_leaves_the_partition_green_and_its_backoff_as_it_is(pages: Pages) -> None:
    pages.join("acme", accounts=["ada", "cleo"])
    assert pages.sync("acme").success
    fault = {"kind": "ratelimit", "team": pages.team("cleo"), "retry_after": 3600, "times": -1}
    pages.bench.order("fault", **fault)
    for attempts in (1, 2):
        pages.bench.execute(
            "update ingest.accounts set reserved_for = 'a look', reserved_until = now() + interval '1 minute',"
            " due_at = now() where name = 'cleo'"
        )
        pages.bench.execute("update ingest.accounts set due_at = now() + interval '1 hour' where name = 'ada'")
        result = pages.sync("acme", tags={records.RESERVATION_TAG: "a look"})
        assert result.success
        assert result.asset_materializations_for_node("sync_slack") == []
        assert shown(pages) == {"acme": "MATERIALIZED"}
        assert pages.partitions() == {"FAILED": {"acme"}}
        account = "select {} from ingest.accounts where name = 'cleo'"
        assert pages.ask(account.format("attempts")) == attempts
        assert pages.ask(account.format("run_alone and due_at > now() + interval '50 minutes'"))
    pages.bench.sim.delete("/_sim/fault").raise_for_status()
    assert pages.materialize(partition_key="acme").success
    assert pages.partitions() == {"SUCCEEDED": {"acme"}}


@pytest.mark.parametrize("accounts", [["ada"], ["ada", "bob"]], ids=["one", "both"])
def test_a_partition_of_which_nothing_can_be_read_is_red(pages: Pages, accounts: list[str]) -> None:
    pages.join("acme", accounts=accounts)
    assert pages.sync("acme").success
    for name in accounts:
        pages.revoke(name)
    assert not pages.materialize(partition_key="acme").success
    assert shown(pages) == {"acme": "FAILED"}
    assert pages.partitions() == {"FAILED": {"acme"}}
    assert pages.header(FRESH)[0] == "SUCCEEDED"  # as of now: it was read a moment ago


def test_the_sentence_of_a_failed_run_stands_once_in_an_error_line_before_the_stack(pages: Pages) -> None:
    pages.join("acme", accounts=["ada"])
    pages.revoke("ada")
    result = pages.sync("acme")
    assert not result.success
    [line] = errors(pages, result)
    assert line.startswith("acme: Slack refused auth.test: token_revoked.")
    said = [entry for entry in pages.instance.all_logs(result.run_id) if "token_revoked" in entry.user_message]
    assert len(said) == 1
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "token_revoked" not in str(failure.event_specific_data.error)
    assert failure.event_specific_data.user_failure_data.description == "Slack could not be read for acme."


def test_metadata_is_named_as_dagster_names_it(pages: Pages) -> None:
    pages.join("acme", "globex")
    found = metadata(pages.sync("acme"))
    assert metadata(pages.sync("globex"))["dagster/partition_row_count"] == found["dagster/partition_row_count"]
    assert found["vendor"] == "https://api.slack.com/apps"
    assert found["newest_item"] == pages.ask(
        "select extract(epoch from max(occurred_at))::float from raw.slack_messages where workspace_id = 'acme'"
    )
    spec = pages.defs.resolve_assets_def(MESSAGES).specs_by_key[MESSAGES]
    uri = spec.metadata["dagster/uri"]
    assert uri.startswith("postgresql://")
    assert uri.endswith("/raw/slack_messages")
    assert "@" not in uri
    assert spec.freshness_policy is None  # of all partitions as one: green while any of them is
    assert isinstance(spec.metadata["dagster/column_schema"], dg.TableSchema)
