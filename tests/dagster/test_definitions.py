"""What Dagster promises, tested in Dagster: partitions, failures, batches, ticks and checks on a real instance."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from ingest_assets import dispatch
from ingest_assets.app import App
from ingest_assets.assets import records
from ingest_assets.assets.features import POOL
from ingest_assets.assets.health import HEALTH
from ingest_assets.cli.connecting import connect_account
from ingest_assets.cli.metrics import HealthCollector
from ingest_assets.definitions import build
from ingest_assets.health import find
from ingest_assets.resources import ingestion
from ingest_assets.schedules import due
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.process_reports import CODE_LOCATION, RUN, find_process_reports
from ingest_assets.storage.queue import due_workspaces, unshown_failures
from ingest_assets.storage.vault import new_key
from ingest_assets.storage.workspaces import register_workspace, remove_workspace
from ingest_assets.sync.backfill import Backfill

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


def config(*names: str) -> dict[str, Any]:
    """Configure a batch."""
    return {"ops": {"sync_slack": {"config": {"workspaces": list(names)}}}}


def materialisations(result: Any) -> list[Any]:
    return list(result.asset_materializations_for_node("sync_slack"))


def execute(app: App, statement: str, **params: Any) -> None:
    with app.engine.begin() as conn:
        conn.execute(text(statement), params)


def join(app: App, sim: httpx.Client, *names: str, channels: int = 1) -> dict[str, str]:
    """Connect a Slack team for each workspace; give the teams' ids."""
    teams = {}
    for seed, name in enumerate(names):
        body = {"token": f"xoxb-{name}", "name": name, "seed": seed, "world": WORLD | {"channels": channels}}
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
                    " attempts, run_alone) values (:w, 'slack', :w, :w, '{}', '{}', :attempts, :attempts > 0)"
                ),
                {"w": f"w{number:02}", "attempts": int(number < failing)},
            )


def run(defs: dg.Definitions, instance: dg.DagsterInstance, *, raise_on_error: bool = False, **how: Any) -> Any:
    job = defs.resolve_job_def("slack_sync")
    return job.execute_in_process(instance=instance, raise_on_error=raise_on_error, **how)


def killed(*_given: Any) -> Any:
    """End a run at once: the step is not tried again, for which Dagster would wait 5 and 10 seconds."""
    raise dg.Failure("killed", allow_retries=False)


def statuses(instance: dg.DagsterInstance) -> dict[str, int]:
    counts = instance.get_materialized_partitions(MESSAGES)
    return dict.fromkeys(sorted(counts), 1)


def log_of(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """Return (level, line) of what a run logged by itself."""
    return [
        (logging.getLevelName(entry.level), entry.user_message)
        for entry in instance.all_logs(run_id)
        if entry.dagster_event is None
    ]


def start_long_ago(instance: dg.DagsterInstance, run_id: str, job: str) -> None:
    """Let a run have started an hour ago."""
    instance.handle_new_event(
        dg.EventLogEntry(  # type: ignore[no-untyped-call]  # so in Dagster
            error_info=None,
            level="info",
            user_message="",
            run_id=run_id,
            timestamp=datetime.now(UTC).timestamp() - 3600,
            job_name=job,
            dagster_event=dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=job),
        )
    )


def described(instance: dg.DagsterInstance, result: Any) -> str:
    """Return the sentence that a failed run shows."""
    [line] = [line for level, line in log_of(instance, result.run_id) if level == "ERROR"]
    return line


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
        assert "token_revoked" in described(instance, result)
        assert "xoxb" not in str(failure.step_failure_data)

    def test_trouble_of_the_database_is_told_in_words_and_may_be_over_when_the_step_tries_again(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        execute(app, "create sequence tries")  # which no rollback takes back
        execute(
            app,
            "create function fail_once() returns trigger language plpgsql as $$ begin"
            " if nextval('tries') = 1 then raise exception using errcode = '53100', message = 'no space'; end if;"
            " return new; end $$",
        )
        execute(
            app,
            "create trigger fail before insert on raw.slack_messages for each row execute function fail_once()",
        )
        result = run(defs, instance, partition_key="acme")
        assert result.success
        assert [event for event in result.all_events if event.is_step_up_for_retry]
        assert "has no disk space left: no space. Free some or add some" in described(instance, result)

    def test_a_run_reads_as_far_back_as_its_config_says_and_the_command_finds_nothing_left(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        [team] = join(app, sim, "acme").values()
        old = {"team": team, "channel": "general", "text": "long ago", "hours_ago": 24 * 100}
        sim.post("/_sim/slack/post", json=old).raise_for_status()
        instance.add_dynamic_partitions("workspaces", ["acme"])

        def read(**history: Any) -> Any:
            ops = {"sync_slack": {"config": history}}
            return run(defs, instance, partition_key="acme", run_config={"ops": ops})

        def texts() -> list[str]:
            with app.engine.connect() as conn:
                return list(conn.execute(text("select text from raw.slack_messages")).scalars())

        assert read().success
        assert "long ago" not in texts()
        assert not read(history_from="soon").success
        assert not read(history_from="2100-01-01").success
        assert not read(history_days=110, history_from="2026-01-01").success
        assert read(history_days=110).success
        assert "long ago" in texts()
        with app.engine.connect() as conn:
            [row] = find_accounts(conn)
        since = datetime.now(UTC) - timedelta(days=109)
        left = Backfill(SLACK, row, app.options_of(SLACK), app.worker("test"), since, datetime.now(UTC))
        assert list(left.run()) == []
        assert left.covered

    def test_a_batch_of_keys_materialises_the_healthy_and_stays_green(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex", "initech")
        revoke(sim, teams["globex"])
        instance.add_dynamic_partitions("workspaces", ["acme", "globex", "initech"])
        result = run(defs, instance, run_config=config("acme", "globex", "initech"))
        assert result.success
        assert set(statuses(instance)) == {"acme", "initech"}

    def test_a_batch_tells_each_failure_with_its_reason_and_at_the_end_the_sum(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex", "initech", "hooli")
        revoke(sim, teams["globex"])
        for name in ("initech", "hooli"):
            # a pause that nobody waits for; the tries after an HTTP 500 take 14 real seconds
            fault = {"kind": "ratelimit", "team": teams[name], "retry_after": 3600, "times": -1}
            sim.post("/_sim/fault", json=fault).raise_for_status()
        result = run(defs, instance, run_config=config("acme", "globex", "initech", "hooli"))
        assert result.success
        lines = log_of(instance, result.run_id)
        [of_globex] = [(level, line) for level, line in lines if "slack globex" in line]
        assert (of_globex[0], "failed, Slack refused" in of_globex[1]) == ("WARNING", True)
        assert "token_revoked" in of_globex[1]
        [(level, line)] = [(level, line) for level, line in lines if "Slack workspaces read" in line]
        assert level == "WARNING"
        assert line.startswith("1 of 4 Slack workspaces read; 2 wait: Slack asks us to slow down")
        assert "(429)" in line
        assert "; 1 failed: Slack refused" in line

    def test_a_workspace_that_somebody_made_up_fails_and_the_others_of_its_range_do_not(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme", "acmee"])
        result = run(defs, instance, partition_key="acmee")
        assert not result.success
        assert described(instance, result).startswith("There is no workspace 'acmee'")
        tags = {"dagster/asset_partition_range_start": "acme", "dagster/asset_partition_range_end": "acmee"}
        assert "'acmee'" in described(instance, run(defs, instance, tags=tags))
        assert set(statuses(instance)) == {"acme"}
        assert "'acmee'" in described(instance, run(defs, instance, run_config=config("acme", "acmee")))
        by_sensor = run(
            defs, instance, run_config=config("acme", "acmee"), tags={"dagster/sensor_name": "slack_due"}
        )
        assert by_sensor.success  # it was removed since

    def test_a_run_that_is_killed_leaves_its_partition_red_until_the_next_batch(
        self,
        app: App,
        sim: httpx.Client,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        assert run(defs, instance, partition_key="acme").success
        assert not materialisations(run(defs, instance, run_config=config("acme")))
        with monkeypatch.context() as patched:
            patched.setattr(records, "sync_workspaces", killed)
            assert not run(defs, instance, partition_key="acme").success
        assert len(materialisations(run(defs, instance, run_config=config("acme")))) == 1
        assert not materialisations(run(defs, instance, run_config=config("acme")))

    def test_a_run_that_may_read_nothing_leaves_its_partition_as_it_was(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        assert run(defs, instance, partition_key="acme").success
        execute(app, "update ingest.accounts set lease_owner = 'x', lease_until = now() + interval '1 minute'")
        assert not materialisations(run(defs, instance, partition_key="acme"))
        execute(app, "update ingest.accounts set lease_until = null")
        revoke(sim, teams["acme"])
        run(defs, instance, run_config=config("acme"))
        with app.engine.connect() as conn:
            assert unshown_failures(conn, "slack", datetime.now(UTC)) == ["acme"]

    def test_a_batch_that_finds_nothing_new_costs_no_event_but_a_daily_one(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        made = [len(materialisations(run(defs, instance, run_config=config("acme")))) for _ in range(3)]
        assert made == [1, 0, 0]
        execute(app, "update ingest.partition_reports set reported_at = reported_at - interval '25 hours'")
        assert len(materialisations(run(defs, instance, run_config=config("acme")))) == 1

    def test_whoever_needs_longer_in_a_batch_goes_on_alone(
        self,
        app: App,
        sim: httpx.Client,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(records, "BATCH_MINUTES", 1e-9)
        join(app, sim, "acme", channels=20)
        instance.add_dynamic_partitions("workspaces", ["acme"])
        run(defs, instance, run_config=config("acme"))
        with app.engine.connect() as conn:
            [row] = due_workspaces(conn, "slack", datetime.now(UTC))
        assert tuple(row) == ("acme", True)
        run(defs, instance, partition_key="acme")
        with app.engine.connect() as conn:
            assert not due_workspaces(conn, "slack", datetime.now(UTC))
            assert conn.execute(text("select count(*) from raw.slack_messages")).scalar_one() == 20 * 7

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

    def test_a_workspace_that_needs_reconnection_is_asked_by_a_person_and_told_as_stored_by_a_sensor(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme")
        revoke(sim, teams["acme"])
        instance.add_dynamic_partitions("workspaces", ["acme"])
        run(defs, instance, partition_key="acme")
        before = sim.get("/_sim/ledger/counts").json()["total"]
        tags = {records.RESERVATION_TAG: "a tick"}
        again = run(defs, instance, partition_key="acme", tags=tags)
        assert not again.success
        assert sim.get("/_sim/ledger/counts").json()["total"] == before
        assert "since 20" in described(instance, again)
        assert "`ingest-assets resume slack --workspace acme` asks again" in described(instance, again)
        assert not run(defs, instance, partition_key="acme").success
        assert sim.get("/_sim/ledger/counts").json()["total"] > before

    @pytest.mark.parametrize("batch", [False, True], ids=["partition", "batch"])
    def test_a_login_that_the_process_cannot_read_is_a_red_run_and_no_accounts_fault(
        self,
        app: App,
        sim: httpx.Client,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
        batch: bool,
    ) -> None:
        join(app, sim, "acme")
        instance.add_dynamic_partitions("workspaces", ["acme"])
        monkeypatch.setenv("INGEST_ENCRYPTION_KEYS", new_key())
        defs = build(App.load(dict(os.environ)))
        how: dict[str, Any] = {"run_config": config("acme")} if batch else {"partition_key": "acme"}
        result = run(defs, instance, **how)
        assert not result.success
        assert "No login of 1 Slack account can be read by this process" in described(instance, result)
        assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in [event.event_type for event in result.all_events]
        with app.engine.connect() as conn:
            [row] = conn.execute(text("select state, attempts, last_sync_at, lease_until from ingest.accounts"))
        assert tuple(row) == ("active", 0, None, None)

    def test_a_login_that_the_process_cannot_read_turns_a_batch_red_that_reads_the_others(
        self,
        app: App,
        sim: httpx.Client,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
    ) -> None:
        join(app, sim, "acme", "globex")
        execute(
            app,
            'update ingest.accounts set credential = \'{"token": {"env": "GLOBEX_TOKEN"}}\''
            " where workspace_id = 'globex'",
        )
        instance.add_dynamic_partitions("workspaces", ["acme", "globex"])
        result = run(defs, instance, run_config=config("acme", "globex"))
        assert not result.success
        assert "GLOBEX_TOKEN, which is not set here" in described(instance, result)
        assert set(statuses(instance)) == {"acme"}
        with app.engine.connect() as conn:
            query = text("select state, last_sync_at from ingest.accounts where workspace_id = 'globex'")
            assert tuple(conn.execute(query).one()) == ("active", None)


class TestTicks:
    def tick(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
        """Let the schedule tick; return the run requests, or why there are none."""
        schedule = defs.resolve_schedule_def("slack_sync")
        with (
            partition_loading_context(dynamic_partitions_store=instance),
            dg.build_schedule_context(
                instance=instance,
                resources=defs.resources,
                repository_def=defs.get_repository_def(),
                scheduled_execution_time=datetime.now(UTC),
            ) as context,
        ):
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
        insert_accounts(app, dispatch.FEW + 1, failing=1)
        requests = self.tick(defs, instance).run_requests
        batch = [request for request in requests if request.partition_key is None]
        assert [request.partition_key for request in requests if request.partition_key] == ["w00"]
        assert len(batch) == 1
        keys = batch[0].run_config["ops"]["sync_slack"]["config"]["workspaces"]
        assert sorted(keys) == ["acme", *(f"w{number:02}" for number in range(1, dispatch.FEW + 1))]

    def test_many_wait_while_their_batch_is_unfinished_and_the_tick_says_so(
        self, app: App, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        insert_accounts(app, dispatch.FEW + 1)
        batch = instance.create_run_for_job(
            defs.resolve_job_def("slack_sync"),
            status=dg.DagsterRunStatus.STARTED,
            tags={due.BATCH_TAG: "1"},
            run_config=config("elsewhere"),
        )
        for result in (self.tick(defs, instance), self.look(defs, instance, "slack_due")):
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

    def look(self, defs: dg.Definitions, instance: dg.DagsterInstance, name: str, **how: Any) -> Any:
        sensor = defs.resolve_sensor_def(name)
        loading = partition_loading_context(dynamic_partitions_store=instance)  # as the daemon's evaluation has it
        with (
            loading,
            dg.build_sensor_context(
                instance=instance, resources=defs.resources, repository_def=defs.get_repository_def(), **how
            ) as context,
        ):
            return sensor.evaluate_tick(context)

    def test_a_sensor_goes_on_with_whom_a_tick_left_waiting_one_batch_at_a_time(
        self, app: App, defs: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INGEST_BATCH_WORKSPACES", "25")
        defs = build(App.load(dict(os.environ)))
        insert_accounts(app, 60)
        assert not self.look(defs, instance, "slack_due").run_requests  # nobody is due
        [batch] = self.tick(defs, instance).run_requests
        first = batch.run_config["ops"]["sync_slack"]["config"]["workspaces"]
        assert len(first) == 25
        waiting = "35 workspaces wait"
        assert waiting in self.look(defs, instance, "slack_due").skip_message  # its run does not exist yet
        live = instance.create_run_for_job(
            defs.resolve_job_def("slack_sync"),
            status=dg.DagsterRunStatus.STARTED,
            tags=batch.tags,
            run_config=batch.run_config,
        )
        assert waiting in self.look(defs, instance, "slack_due").skip_message
        instance.report_run_failed(live, "gone")  # what it has not read stays reserved, and holds up nobody else
        [batch] = self.look(defs, instance, "slack_due").run_requests
        second = batch.run_config["ops"]["sync_slack"]["config"]["workspaces"]
        assert len(second) == 25
        assert not set(first) & set(second)

    def test_a_run_that_cannot_even_begin_is_not_started_over_and_over(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex")
        revoke(sim, teams["globex"])
        instance.add_dynamic_partitions("workspaces", ["acme", "globex"])
        run(defs, instance, run_config=config("globex"))
        asked = self.tick(defs, instance).run_requests
        assert sorted(request.partition_key for request in asked) == ["acme", "globex"]
        assert not self.look(defs, instance, "slack_due").run_requests  # both runs died without a word
        execute(app, "update ingest.accounts set reserved_until = reserved_until - interval '3 minutes'")
        again = self.look(defs, instance, "slack_due").run_requests
        assert sorted(request.partition_key for request in again) == ["acme", "globex"]

    def test_a_failure_that_a_batch_saw_gets_its_own_red_run_and_one_only(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex")
        revoke(sim, teams["globex"])
        instance.add_dynamic_partitions("workspaces", ["acme", "globex"])
        run(defs, instance, run_config=config("acme", "globex"))
        [asked] = self.look(defs, instance, "slack_due").run_requests
        assert asked.partition_key == "globex"
        assert not run(defs, instance, partition_key="globex").success
        assert not self.look(defs, instance, "slack_due").run_requests

    def test_while_a_vendor_is_down_one_workspace_tries_each_minute(
        self, app: App, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        insert_accounts(app, 40)
        execute(
            app,
            "insert into ingest.syncs (account_id, workspace_id, source, owner, status, error_kind, started_at,"
            " finished_at, summary) select account_id, workspace_id, source, 'x', 'failed', 'transient', now(),"
            " now(), '{}' from ingest.accounts order by account_id limit 10",
        )
        result = self.tick(defs, instance)
        assert not result.run_requests
        assert "Slack seems to be down; 40 workspaces wait" in result.skip_message
        with app.engine.connect() as conn:
            assert "Slack seems to be down" in find(conn, app.core, datetime.now(UTC))[0].reason
        execute(  # what went well before that changes nothing
            app,
            "insert into ingest.syncs (account_id, workspace_id, source, owner, status, started_at, finished_at,"
            " summary) select account_id, workspace_id, source, 'x', 'success', now() - interval '3 minutes',"
            " now() - interval '3 minutes', '{}' from ingest.accounts",
        )
        assert "Slack seems to be down" in self.look(defs, instance, "slack_due").skip_message
        execute(app, "update ingest.accounts set attempts = 2")  # their own trouble, then, and not the vendor's
        assert "down" not in str(self.look(defs, instance, "slack_due").skip_message)
        execute(app, "update ingest.accounts set attempts = 1, due_at = now(), reserved_until = null")
        execute(app, "update ingest.syncs set finished_at = now() - interval '2 minutes' where status = 'failed'")
        assert len(self.tick(defs, instance).run_requests) == 1
        execute(app, "update ingest.syncs set status = 'success', error_kind = null where account_id = 1")
        execute(app, "update ingest.accounts set due_at = null, reserved_until = null")
        [batch] = self.tick(defs, instance).run_requests
        assert len(batch.run_config["ops"]["sync_slack"]["config"]["workspaces"]) == 40

    def test_who_fails_travels_last_and_twenty_at_most_at_a_time(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme")
        insert_accounts(app, dispatch.ALONE + 5, failing=dispatch.ALONE + 5)
        asked = self.tick(defs, instance).run_requests
        assert len(asked) == dispatch.ALONE + 1
        assert [one.partition_key for one in asked if one.tags.get("dagster/priority") == "1"] == ["acme"]
        for one in asked:
            instance.create_run_for_job(
                defs.resolve_job_def("slack_sync"),
                status=dg.DagsterRunStatus.STARTED,
                tags={**one.tags, "dagster/partition": str(one.partition_key)},
            )
        again = self.look(defs, instance, "slack_due")
        assert not again.run_requests
        assert f"{dispatch.ALONE + 1} runs for one workspace are under way" in again.skip_message
        assert "5 failing ones wait" in again.skip_message

    def test_partition_keys_follow_the_workspaces_and_a_removed_one_stops_at_once(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme", "globex")
        instance.add_dynamic_partitions("workspaces", ["acme", "bygone"])
        changes = self.look(defs, instance, "workspace_keys").dynamic_partitions_requests
        assert [sorted(change.partition_keys) for change in changes] == [["globex"], ["bygone"]]
        instance.add_dynamic_partitions("workspaces", ["globex"])
        instance.delete_dynamic_partition("workspaces", "bygone")
        run(defs, instance, run_config=config("acme"))
        with app.engine.connect() as conn:
            reports = {row.kind: (row.missing, len(row.keys)) for row in find_process_reports(conn)}
        assert reports == {CODE_LOCATION: ([], 1), RUN: ([], 1)}
        with app.engine.begin() as conn:
            assert remove_workspace(conn, "acme")
            assert not remove_workspace(conn, "acme")
        [change] = self.look(defs, instance, "workspace_keys").dynamic_partitions_requests
        assert change.partition_keys == ["acme"]
        assert [request.partition_key for request in self.tick(defs, instance).run_requests] == ["globex"]
        with app.engine.connect() as conn:
            assert conn.execute(text("select count(*) from raw.slack_messages")).scalar_one() == 7

    def test_a_run_whose_worker_gives_no_sign_is_ended(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        join(app, sim, "acme", "globex")
        job = defs.resolve_job_def("slack_sync")
        runs = {
            name: instance.create_run_for_job(job, run_config=config(name), tags={due.BATCH_TAG: "1"})
            for name in ("acme", "globex")
        }
        runs["from the asset's page"] = instance.create_run_for_job(
            defs.resolve_job_def("__ASSET_JOB"), asset_selection=frozenset([MESSAGES])
        )
        runs["of something else"] = instance.create_run_for_job(
            defs.resolve_job_def("__ASSET_JOB"), asset_selection=frozenset([HEALTH])
        )
        for started in runs.values():
            start_long_ago(instance, started.run_id, "slack_sync")
        execute(
            app,
            "update ingest.accounts set lease_owner = :run, lease_until = now() + interval '1 minute'"
            " where workspace_id = 'acme'",
            run=runs["acme"].run_id,
        )
        assert "2 of them were abandoned" in self.look(defs, instance, "abandoned_runs").skip_message
        found = {name: instance.get_run_by_id(started.run_id) for name, started in runs.items()}
        assert {name: one.status.value for name, one in found.items() if one} == {
            "acme": "STARTED",
            "globex": "FAILURE",
            "from the asset's page": "FAILURE",
            "of something else": "STARTED",
        }

    def test_a_dead_run_of_features_or_maintenance_is_ended_too(
        self, app: App, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        jobs = ("gong_features", "fathom_features", "maintenance")
        until = {"dead": "-1 day", "alive": "1 minute", "just let go": "-1 second"}
        runs = {
            (job, name): instance.create_run_for_job(defs.resolve_job_def(job)) for job in jobs for name in until
        }
        for (job, name), started in runs.items():
            start_long_ago(instance, started.run_id, job)
            execute(
                app,
                "insert into ingest.leases (name, owner, token, until)"
                " values (:name, :run, gen_random_uuid(), now() + cast(:until as interval))",
                name=f"{job} {name}",
                run=started.run_id,
                until=until[name],
            )
        waiting = instance.create_run_for_job(defs.resolve_job_def("gong_features"))  # for a slot of its pool
        start_long_ago(instance, waiting.run_id, "gong_features")
        instance.event_log_storage.set_concurrency_slots(POOL, 0)
        instance.event_log_storage.claim_concurrency_slot(POOL, waiting.run_id, "read_gong_calls")
        assert "9 runs are under way, 3 of them were abandoned" in str(
            self.look(defs, instance, "abandoned_runs").skip_message
        )
        records = {key: instance.get_run_by_id(started.run_id) for key, started in runs.items()}
        ended = {key for key, record in records.items() if record and record.status == dg.DagsterRunStatus.FAILURE}
        assert ended == {(job, "dead") for job in jobs}


class TestHealth:
    def test_the_overview_is_an_asset_with_numbers_and_written_when_a_state_changes(
        self, app: App, sim: httpx.Client, defs: dg.Definitions, instance: dg.DagsterInstance
    ) -> None:
        teams = join(app, sim, "acme", "globex")
        revoke(sim, teams["globex"])
        run(defs, instance, run_config=config("acme", "globex"))
        look = TestTicks().look
        first = look(defs, instance, "sync_health")
        [event] = instance.fetch_materializations(HEALTH, limit=5).records
        assert event.asset_materialization is not None
        found = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        assert (found["fresh"], found["not_fresh"], found["needs_reconnect"]) == (1, 1, 1)
        assert found["success_rate_1h"] == found["success_rate_7d"] == 0.5
        for words in ("| globex | slack | needs_reconnect |", "token_revoked", "(since 20"):
            assert words in str(found["overview"])
        look(defs, instance, "sync_health", cursor=first.cursor)
        assert len(instance.fetch_materializations(HEALTH, limit=5).records) == 1
        assert (
            defs.resolve_job_def("__ASSET_JOB")
            .execute_in_process(instance=instance, asset_selection=[HEALTH])
            .success
        )

    def test_metrics_tell_it_to_others(self, app: App, sim: httpx.Client) -> None:
        join(app, sim, "acme")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(HealthCollector(app))
        said = generate_latest(registry).decode()
        assert 'ingest_fresh{source="slack",workspace="acme"} 0.0' in said
        assert 'ingest_workspaces{source="slack",state="stale"} 1.0' in said
        assert "ingest_objective_seconds 9000.0" in said
        assert "xoxb" not in said


def test_definitions_load_without_any_credential(tmp_path: Path) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(  # noqa: S603
        [Path(sys.executable).parent / "dg", "check", "defs"],
        env={**environ, "DAGSTER_HOME": str(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
