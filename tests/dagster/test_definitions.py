"""What Dagster promises, tested in Dagster: partitions, failures, batches, ticks and checks on a real instance."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from sqlalchemy import Engine, text

from ingest_assets.app import App
from ingest_assets.assets.checks import report_health
from ingest_assets.assets.reporting import report_check
from ingest_assets.connecting import connect_account
from ingest_assets.definitions import build
from ingest_assets.resources import ingestion
from ingest_assets.schedules import due
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.accounts import register_workspace
from ingest_assets.storage.vault import new_key

MESSAGES = dg.AssetKey(["raw", "slack_messages"])
WORLD = {"channels": 1, "messages": 5, "threads": 1, "replies": 2}
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def app(database_url: str, simulator_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    environ = {
        "DATABASE_URL": database_url,
        "INGEST_ENCRYPTION_KEYS": new_key(),
        "SLACK_API_URL": f"{simulator_url}/slack/api/",
        "SLACK_PACING": "false",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = App.load(environ)
    yield app
    app.any_engine.dispose()


@pytest.fixture
def defs(app: App) -> dg.Definitions:
    return build(app)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made
    ingestion.forget_engines()


def join(app: App, sim: httpx.Client, *names: str) -> dict[str, str]:
    """Connect a Slack team for each workspace; give the teams' ids."""
    teams = {}
    for seed, name in enumerate(names):
        body = {"token": f"xoxb-{name}", "name": name, "seed": seed, "world": WORLD}
        teams[name] = sim.post("/_sim/slack/team", json=body).raise_for_status().json()["team_id"]
        token = {"token": f"xoxb-{name}"}
        connect_account(
            app, SLACK, name, given={"token": "-"}, settings={}, name=None, read_secret=token.__getitem__
        )
    return teams


def revoke(sim: httpx.Client, team: str) -> None:
    sim.post("/_sim/slack/token", json={"team": team, "revoked": True}).raise_for_status()


def insert_accounts(app: App, count: int, *, failing: int = 0) -> None:
    """Put accounts into the table without connecting them; the first `failing` ones have failed before."""
    with app.engine.begin() as conn:
        for number in range(count):
            register_workspace(conn, f"w{number:02}")
            conn.execute(
                text(
                    "insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings,"
                    " attempts) values (:w, 'slack', :w, :w, '{}', '{}', :attempts)"
                ),
                {"w": f"w{number:02}", "attempts": int(number < failing)},
            )


def run(defs: dg.Definitions, instance: dg.DagsterInstance, *, raise_on_error: bool = False, **how: Any) -> Any:
    job = defs.resolve_job_def("slack_sync")
    return job.execute_in_process(instance=instance, raise_on_error=raise_on_error, **how)


def statuses(instance: dg.DagsterInstance) -> dict[str, int]:
    counts = instance.get_materialized_partitions(MESSAGES)
    return dict.fromkeys(sorted(counts), 1)


class TestOneFunctionForAllRuns:
    def test_a_partition_run_materialises_its_workspace_with_counts_and_no_text(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        result = run(defs, instance, partition_key="acme")
        assert result.success
        [event] = result.asset_materializations_for_node("sync_slack")
        assert event.partition == "acme"
        metadata = {name: value.value for name, value in event.metadata.items()}
        assert metadata["rows_new"] == 7
        assert metadata["successful_accounts"] == 1
        assert metadata["api_calls_by_method"]["conversations.history"] == 1
        assert metadata["report"]["status"] == "success"
        assert "| new |" in metadata["preview"]
        with app.engine.connect() as conn:
            texts = (
                conn.execute(text("select text from raw.slack_messages where length(text) > 12")).scalars().all()
            )
        assert texts
        assert not any(said in str(metadata) for said in texts)

    def test_a_failing_partition_turns_red_and_is_not_retried_by_the_step(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme")
        revoke(sim, teams["acme"])
        instance.add_dynamic_partitions("workspaces", ["acme"])
        result = run(defs, instance, partition_key="acme")
        assert not result.success
        kinds = [event.event_type for event in result.all_events]
        assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in kinds
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert "token_revoked" in failure.step_failure_data.user_failure_data.description
        assert "xoxb" not in str(failure.step_failure_data)

    def test_a_batch_of_keys_materialises_the_healthy_and_stays_green(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex", "initech")
        revoke(sim, teams["globex"])
        instance.add_dynamic_partitions("workspaces", ["acme", "globex", "initech"])
        config = {"ops": {"sync_slack": {"config": {"workspaces": ["acme", "globex", "initech"]}}}}
        result = run(defs, instance, run_config=config)
        assert result.success
        assert set(statuses(instance)) == {"acme", "initech"}

    def test_a_backfill_over_a_range_materialises_the_healthy_and_turns_red_for_the_other(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex", "initech")
        revoke(sim, teams["globex"])
        instance.add_dynamic_partitions("workspaces", ["acme", "globex", "initech"])
        tags = {"dagster/asset_partition_range_start": "acme", "dagster/asset_partition_range_end": "initech"}
        result = run(defs, instance, tags=tags)
        assert not result.success
        assert set(statuses(instance)) == {"acme", "initech"}

    def test_a_workspace_that_needs_reconnection_fails_without_a_call(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme")
        revoke(sim, teams["acme"])
        instance.add_dynamic_partitions("workspaces", ["acme"])
        run(defs, instance, partition_key="acme")
        before = sim.get("/_sim/ledger/counts").json()["total"]
        assert not run(defs, instance, partition_key="acme").success
        assert sim.get("/_sim/ledger/counts").json()["total"] == before


class TestTicks:
    def tick(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
        schedule = defs.resolve_schedule_def("slack_sync")
        with dg.build_schedule_context(
            instance=instance,
            resources=defs.resources,
            repository_def=defs.get_repository_def(),
            scheduled_execution_time=datetime.now(UTC),
        ) as context:
            return schedule.evaluate_tick(context)

    def test_few_due_workspaces_get_a_partition_run_each_and_new_keys_are_registered(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme", "globex")
        requests = self.tick(defs, instance).run_requests
        assert sorted(request.partition_key for request in requests) == ["acme", "globex"]
        assert set(instance.get_dynamic_partitions("workspaces")) == {"acme", "globex"}

    def test_many_share_a_batch_and_a_failing_one_travels_alone(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        insert_accounts(app, due.FEW + 1, failing=1)
        requests = self.tick(defs, instance).run_requests
        batch = [request for request in requests if request.partition_key is None]
        assert [request.partition_key for request in requests if request.partition_key] == ["w00"]
        assert len(batch) == 1
        keys = batch[0].run_config["ops"]["sync_slack"]["config"]["workspaces"]
        assert sorted(keys) == ["acme", *(f"w{number:02}" for number in range(1, due.FEW + 1))]

    def test_many_wait_while_their_batch_is_unfinished_and_the_tick_says_so(
        self, app: App, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        insert_accounts(app, due.FEW + 1)
        batch = instance.create_run_for_job(
            defs.resolve_job_def("slack_sync"),
            status=dg.DagsterRunStatus.STARTED,
            tags={due.BATCH_TAG: "21"},
        )
        result = self.tick(defs, instance)
        assert not result.run_requests
        assert batch.run_id in result.skip_message
        assert "21 workspaces wait" in result.skip_message

    def test_a_paused_or_revoked_workspace_is_not_asked_for(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme", "globex")
        with app.engine.begin() as conn:
            conn.execute(text("update ingest.accounts set state = 'paused' where workspace_id = 'acme'"))
            conn.execute(
                text("update ingest.accounts set state = 'needs_reconnect' where workspace_id = 'globex'")
            )
        result = self.tick(defs, instance)
        assert not result.run_requests
        assert "No Slack workspace is due" in result.skip_message


class TestChecks:
    def test_every_workspace_has_its_own_verdict_reported_only_when_it_changes(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme", "globex")
        instance.add_dynamic_partitions("workspaces", ["acme", "globex"])
        run(defs, instance, partition_key="acme")
        with app.engine.connect() as conn:
            found = conn.execute(
                text("select workspace_id, passed from ingest.check_reports where check_name = 'fresh'")
            ).all()
        assert {tuple(row) for row in found} == {("acme", True), ("globex", False)}
        assert report_health(instance, SLACK, app.engine, app.core, datetime.now(UTC)) == 0

    def test_a_check_of_one_partition_can_be_reported_again_and_again(self, engine: Engine, app: App) -> None:
        """The contract of `assets/reporting.py`, on Dagster's real PostgreSQL storage."""
        storage = {
            "postgres": {"postgres_url": sqlalchemy_url(app.database_url, "psycopg2")},
        }
        with dg.instance_for_test(overrides={"storage": storage}) as instance:
            for passed in (True, False, True):
                evaluation = dg.AssetCheckEvaluation(
                    asset_key=MESSAGES, check_name="fresh", passed=passed, partition="acme", metadata={}
                )
                report_check(instance, evaluation, run_id=None)
        with engine.connect() as conn:
            count = conn.execute(text("select count(*) from asset_check_executions")).scalar_one()
        assert count == 3


def test_definitions_load_without_any_credential(tmp_path: Path) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(  # noqa: S603
        [Path(sys.executable).parent / "dagster", "definitions", "validate", "-w", REPOSITORY / "workspace.yaml"],
        env={**environ, "DAGSTER_HOME": str(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
