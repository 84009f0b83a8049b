"""What the pages show of checks: after every kind of run, and without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from ingest_assets.assets import health, records
from ingest_assets.assets.checks import COMPLETE, FRESH, HEALTHY, Checks
from ingest_assets.assets.health import HEALTH
from ingest_assets.assets.reporting import report_check
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.sync.pool import sync_workspaces
from tests.dagster.pages import MESSAGES, Pages, opened
from tests.workbench import Bench


@pytest.fixture
def pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    with opened(bench, monkeypatch) as made:
        yield made


def test_after_a_run_from_the_assets_page_checks_have_a_colour(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.revoke("globex")
    assert pages.materialize(partition_key="acme").success
    assert pages.partitions() == {"SUCCEEDED": {"acme"}}
    assert not pages.materialize(partition_key="globex").success
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}
    assert pages.header(FRESH) == ("FAILED", "1 of 2 workspaces are fresh.")
    assert pages.header(HEALTHY)[0] == "FAILED"
    assert pages.materialize(partition_key="acme").success  # what is well comes later, and hides nothing
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}
    assert pages.header(HEALTHY)[0] == "FAILED"
    pages.revoke("globex", revoked=False)
    assert pages.materialize(partition_key="globex").success
    assert pages.partitions() == {"SUCCEEDED": {"acme", "globex"}}
    assert pages.header(HEALTHY)[0] == "SUCCEEDED"
    assert pages.header(FRESH) == ("SUCCEEDED", "2 of 2 workspaces are fresh.")


def test_after_a_backfill_every_partition_of_it_has_a_colour(pages: Pages) -> None:
    pages.join("acme", "globex", "initech")
    pages.revoke("globex")
    assert not pages.backfill("acme", "initech").success
    assert pages.partitions() == {"SUCCEEDED": {"acme", "initech"}, "FAILED": {"globex"}}
    assert pages.header(HEALTHY)[0] == "FAILED"
    assert pages.header(FRESH) == ("FAILED", "2 of 3 workspaces are fresh.")
    assert not pages.backfill("acme", "initech").success  # nothing changed, and everything was materialized again
    assert pages.partitions() == {"SUCCEEDED": {"acme", "initech"}, "FAILED": {"globex"}}


def test_after_a_batch_run_every_partition_of_it_has_a_colour(pages: Pages) -> None:
    pages.join("acme", "globex", "initech")
    pages.revoke("globex")
    assert pages.batch("acme", "globex", "initech").success
    assert pages.partitions() == {"SUCCEEDED": {"acme", "initech"}, "FAILED": {"globex"}}
    assert pages.header(HEALTHY)[0] == "FAILED"
    assert pages.header(FRESH) == ("FAILED", "2 of 3 workspaces are fresh.")


def test_execute_all_judges_every_workspace_and_lists_the_bad_ones(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.revoke("globex")
    pages.batch("acme", "globex")
    result = pages.execute_all()
    assert result.success
    found = {event.asset_check_key.name: event for event in result.get_asset_check_evaluations()}
    assert {name: event.passed for name, event in found.items()} == {FRESH: False, HEALTHY: False}
    assert found[HEALTHY].description == "1 of 2 workspaces are healthy."
    table = found[HEALTHY].metadata["others"].value
    assert "| globex | slack | needs_reconnect |" in table
    assert "acme" not in table
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}
    assert pages.header(HEALTHY) == ("FAILED", "1 of 2 workspaces are healthy.")


def test_a_check_can_be_executed_for_chosen_partitions(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.batch("acme", "globex")
    pages.bench.execute("update ingest.accounts set last_success_at = null where name = 'globex'")
    assert pages.execute_all(HEALTHY, partition_key="globex").success
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}


def test_a_run_that_is_killed_before_it_reports_is_made_up_for_by_the_sensor(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.join("acme")
    assert pages.sync("acme").success

    def killed(*_given: Any, **_more: Any) -> Any:
        raise dg.Failure("killed", allow_retries=False)

    with monkeypatch.context() as patched:
        patched.setattr(Checks, "of_workspaces", killed)
        pages.sync("acme")
    assert pages.partitions() == {}  # "Missing": its report is about an older materialization
    assert pages.header(FRESH)[0] == "not evaluated"
    pages.look()
    assert pages.partitions() == {"SUCCEEDED": {"acme"}}
    assert pages.header(FRESH) == ("SUCCEEDED", "1 of 1 workspaces are fresh.")


def test_what_the_sensor_reports_while_a_run_is_under_way_hides_nothing(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.join("acme", "globex")

    def looked_at_meanwhile(*given: Any, **more: Any) -> Any:
        pages.look()
        yield from sync_workspaces(*given, **more)

    monkeypatch.setattr(records, "sync_workspaces", looked_at_meanwhile)
    assert pages.materialize(partition_key="acme").success
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}
    assert (pages.header(HEALTHY)[0], pages.header(FRESH)[0]) == ("FAILED", "FAILED")


def test_a_look_that_finds_nothing_changed_writes_no_event(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.revoke("globex")
    pages.batch("acme", "globex")
    pages.look()
    written = "select count(*) from event_logs where dagster_event_type ~ '^ASSET_(MATERIAL|CHECK).*(?<!PLANNED)$'"
    before = pages.ask(written)
    for _ in range(2):
        pages.look()
        pages.batch("acme", "globex")
    pages.look()
    assert pages.ask(written) == before


def test_while_a_batch_is_under_way_pages_show_what_it_has_done(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.join("acme", "globex", "initech")
    pages.revoke("initech")
    seen: list[tuple[str, str]] = []

    def seen_between(*given: Any, **more: Any) -> Any:
        for done in sync_workspaces(*given, **more):
            yield done
            seen.append((pages.header(FRESH)[0], pages.header(HEALTHY)[0]))

    monkeypatch.setattr(records, "CHECKED_TOGETHER", 1)
    monkeypatch.setattr(records, "sync_workspaces", seen_between)
    assert pages.batch("acme", "globex", "initech").success
    assert len(seen) == 3
    assert "not evaluated" not in {status for statuses in seen[1:] for status in statuses}
    assert pages.partitions() == {"SUCCEEDED": {"acme", "globex"}, "FAILED": {"initech"}}
    assert (pages.header(FRESH)[0], pages.header(HEALTHY)[0]) == ("FAILED", "FAILED")


def test_what_is_paused_is_not_counted_and_fails_nothing(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.batch("acme")
    pages.look()
    assert pages.partitions() == {"SUCCEEDED": {"acme"}, "FAILED": {"globex"}}
    pages.bench.execute("update ingest.accounts set state = 'paused' where name = 'globex'")
    pages.look()
    assert pages.partitions() == {"SUCCEEDED": {"acme", "globex"}}
    assert pages.header(FRESH) == ("SUCCEEDED", "1 of 1 workspaces are fresh.")
    assert pages.header(HEALTHY)[0] == "SUCCEEDED"


def test_the_overview_is_written_when_a_state_changes_and_else_hourly(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def points() -> int:
        return len(pages.instance.fetch_materializations(HEALTH, limit=10).records)

    pages.join("acme")
    pages.batch("acme")
    pages.look()
    pages.look()
    assert points() == 1
    pages.revoke("acme")
    pages.batch("acme")
    pages.look()
    assert points() == 2
    monkeypatch.setattr(health, "OVERVIEW_SECONDS", 0)
    pages.look()
    assert points() == 3
    policy = pages.defs.resolve_assets_def(HEALTH).specs_by_key[HEALTH].freshness_policy
    assert policy is not None  # overdue where nobody looks


def test_a_failed_check_links_to_what_mends_it(pages: Pages) -> None:
    pages.bench.configure(INGEST_DOCS_URL="https://docs.example.com/ingest/")
    pages.join("acme")
    [failed, _incomplete] = pages.checks().of_workspaces(datetime.now(UTC))
    assert failed.metadata["vendor"] == dg.MetadataValue.url("https://api.slack.com/apps")
    assert failed.metadata["how_to_connect"] == dg.MetadataValue.url(
        "https://docs.example.com/ingest/connecting/slack.html"
    )


def test_a_workspace_that_becomes_stale_turns_red_without_a_run_and_the_number_follows(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.batch("acme", "globex")
    assert pages.header(HEALTHY)[0] == "SUCCEEDED"
    pages.bench.execute(
        "update ingest.accounts set last_success_at = now() - interval '1 day' where workspace_id = 'acme'"
    )
    pages.look()
    assert pages.partitions() == {"SUCCEEDED": {"globex"}, "FAILED": {"acme"}}
    assert pages.header(HEALTHY)[0] == "FAILED"
    assert pages.header(FRESH) == ("FAILED", "1 of 2 workspaces are fresh.")
    pages.batch("globex")
    assert pages.header(FRESH) == ("FAILED", "1 of 2 workspaces are fresh.")


def test_a_healthy_workspace_says_when_the_share_of_rejected_items_is_too_large(pages: Pages) -> None:
    pages.join("acme")
    pages.batch("acme")
    pages.bench.execute(
        "insert into ingest.rejected_records (account_id, workspace_id, table_name, item_key, payload, error)"
        " select account_id, workspace_id, 'slack_messages', n::text, '{}', 'x'"
        " from ingest.accounts, generate_series(1, 20) n"
    )
    [evaluation, _incomplete] = pages.checks().of_workspaces(datetime.now(UTC))
    assert not evaluation.passed
    assert "of its items could not be parsed, at most 5% may" in str(evaluation.metadata["reason"].value)


def test_what_is_missing_of_a_workspace_fails_complete_as_a_warning_and_is_told_once(pages: Pages) -> None:
    pages.join("acme", "globex")
    pages.batch("acme", "globex")
    assert pages.partitions(COMPLETE) == {"SUCCEEDED": {"acme", "globex"}}
    shown = pages.instance.get_latest_materialization_event(MESSAGES)
    assert shown is not None
    assert shown.asset_materialization is not None
    said: dict[str, Any] = {name: value.value for name, value in shown.asset_materialization.metadata.items()}
    assert (said["complete"], said["gaps"], said["missing"]) == (True, 0, "nothing is missing")
    assert 29 * 86400 < said["covered_to"] - said["covered_from"] < 31 * 86400
    pages.bench.execute(
        "insert into ingest.rejected_records (account_id, workspace_id, table_name, item_key, payload, error)"
        " select account_id, workspace_id, 'slack_messages', 'x', '{}', 'x' from ingest.accounts"
        " where workspace_id = 'acme'"
    )
    [_unhealthy, gap] = pages.checks().of_workspaces(datetime.now(UTC))
    assert (gap.passed, gap.severity, gap.partition) == (False, dg.AssetCheckSeverity.WARN, "acme")
    assert str(gap.metadata["reason"].value).startswith("slack_messages: 1 item could not be parsed")
    assert list(pages.checks().of_workspaces(datetime.now(UTC))) == []
    pages.look()
    assert pages.partitions(COMPLETE) == {"SUCCEEDED": {"globex"}, "FAILED": {"acme"}}
    assert pages.execute_all(COMPLETE).success
    assert pages.header(COMPLETE) == ("FAILED", "1 of 2 workspaces are complete.")
    pages.batch("acme", "globex")
    assert pages.header(COMPLETE)[0] == "FAILED"  # what is complete comes first


def test_a_check_of_one_partition_can_be_reported_again_and_again(bench: Bench) -> None:
    """The contract of `assets/reporting.py`, on Dagster's real PostgreSQL storage."""
    storage = {
        "postgres": {"postgres_url": sqlalchemy_url(bench.app.database_url, "psycopg2")},
    }
    with dg.instance_for_test(overrides={"storage": storage}) as instance:
        for passed in (True, False, True):
            evaluation = dg.AssetCheckEvaluation(
                asset_key=MESSAGES, check_name=HEALTHY, passed=passed, partition="acme", metadata={}
            )
            report_check(instance, evaluation, run_id=None)
    with bench.engine.connect() as conn:
        count = conn.execute(text("select count(*) from asset_check_executions")).scalar_one()
    assert count == 3
