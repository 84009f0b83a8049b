"""Features in Dagster: a run of its own, red or green by itself, started when there is something to read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from ingest_assets.assets.feature_checks import CHECKS
from ingest_assets.assets.reporting import Shown
from ingest_assets.definitions import build
from ingest_assets.features.prompt import version
from ingest_assets.resources import ingestion
from ingest_assets.storage.workspaces import remove_workspace
from tests.features.test_extraction import KEY, LINES, Calls
from tests.workbench import Bench

FEATURES = dg.AssetKey(["features", "gong_call_features"])


@pytest.fixture
def calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls(bench)
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    return calls


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("workspaces", ["acme", "globex"])
        yield made
    ingestion.forget_engines()


def run(defs: dg.Definitions, instance: dg.DagsterInstance, **how: Any) -> Any:
    job = defs.resolve_job_def("gong_features")
    return job.execute_in_process(instance=instance, raise_on_error=False, **how)


def error_line(instance: dg.DagsterInstance, result: Any) -> str:
    """Return the one error that a failed run logged by itself."""
    own = [entry for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
    [line] = [entry.user_message for entry in own if entry.level == logging.ERROR]
    return line


def watched(defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
    """Let the sensor that reports checks look."""
    return look(defs, instance, "sync_health")


def look(defs: dg.Definitions, instance: dg.DagsterInstance, name: str = "gong_features") -> Any:
    sensor = defs.resolve_sensor_def(name)
    with (
        dg.build_sensor_context(
            instance=instance, repository_def=defs.get_repository_def(), resources=defs.resources
        ) as context,
        partition_loading_context(dynamic_partitions_store=instance),
    ):
        return sensor.evaluate_tick(context)


def test_a_partition_run_shows_counts_tokens_and_no_text(calls: Calls, instance: dg.DagsterInstance) -> None:
    calls.add(2)
    result = run(build(calls.bench.app), instance, partition_key="acme")
    assert result.success
    [event] = result.asset_materializations_for_node("read_gong_calls")
    assert (event.asset_key, event.partition) == (FEATURES, "acme")
    metadata = {name: value.value for name, value in event.metadata.items()}
    assert (metadata["status"], metadata["calls_read"], metadata["calls_remaining"]) == ("success", 2, 0)
    assert metadata["items"] == sum(len(row.items) for row in calls.rows.values())
    assert metadata["input_tokens"] > metadata["output_tokens"] > 0
    assert "| kind | items |" in metadata["items_by_kind"]
    assert not [line for line in LINES if line in str(metadata)]


def test_without_a_key_the_sensor_forgets_what_was_deleted(
    calls: Calls, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = calls.add(2)
    calls.extract()
    calls.bench.execute("update raw.gong_calls set deleted_at = now() where external_id = :id", id=first)
    calls.bench.configure(OPENAI_API_KEY="")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY is not set" in str(look(build(calls.bench.app), instance).skip_message)
    assert set(calls.rows) == {second}


def test_a_batch_reads_every_workspace_that_it_names(calls: Calls, instance: dg.DagsterInstance) -> None:
    calls.add()
    calls.bench.execute("insert into ingest.workspaces (workspace_id) values ('globex')")
    config = {"ops": {"read_gong_calls": {"config": {"workspaces": ["acme", "globex"]}}}}
    result = run(build(calls.bench.app), instance, run_config=config)
    events = result.asset_materializations_for_node("read_gong_calls")
    assert [event.partition for event in events] == ["acme", "globex"]


def test_a_workspace_that_somebody_made_up_fails_with_the_sentence_that_says_so(
    calls: Calls, instance: dg.DagsterInstance
) -> None:
    result = run(build(calls.bench.app), instance, partition_key="globex")
    assert "There is no workspace 'globex'" in error_line(instance, result)


def test_a_refused_key_turns_the_features_red_and_leaves_the_ingestion_green(
    calls: Calls, instance: dg.DagsterInstance
) -> None:
    calls.add()
    calls.key(revoked=True)
    defs = build(calls.bench.app)
    result = run(defs, instance, partition_key="acme")
    assert not result.success
    assert "refuses OPENAI_API_KEY" in error_line(instance, result)
    assert KEY not in str(instance.all_logs(result.run_id))
    batch = {"ops": {"read_gong_calls": {"config": {"workspaces": ["acme"]}}}}
    assert not run(defs, instance, run_config=batch).success
    sync = defs.resolve_job_def("gong_sync").execute_in_process(instance=instance, partition_key="acme")
    assert sync.success


def test_without_a_key_nothing_runs_and_everything_says_so(calls: Calls, instance: dg.DagsterInstance) -> None:
    calls.add()
    calls.bench.configure(OPENAI_API_KEY="")
    defs = build(calls.bench.app)
    skipped = look(defs, instance)
    assert skipped.run_requests == []
    assert "OPENAI_API_KEY is not set" in skipped.skip_message
    assert "OPENAI_API_KEY is not set" in str(defs.resolve_assets_def(FEATURES).specs_by_key[FEATURES].description)
    result = run(defs, instance, partition_key="acme")
    assert result.success
    assert result.asset_materializations_for_node("read_gong_calls") == []


def test_the_sensor_starts_a_run_for_what_is_unread_and_none_for_what_is_read_or_has_to_wait(
    calls: Calls, instance: dg.DagsterInstance
) -> None:
    defs = build(calls.bench.app)
    assert look(defs, instance).run_requests == []
    calls.add()
    assert [request.partition_key for request in look(defs, instance).run_requests] == ["acme"]
    calls.fault("ratelimit", retry_after=300)
    calls.extract()
    assert look(defs, instance).run_requests == []
    calls.gong.calm()
    calls.extract()
    assert look(defs, instance).run_requests == []


def test_the_sensor_leaves_a_removed_workspace_alone(
    calls: Calls, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_LLM_MODE", "batch")
    calls.bench.configure(INGEST_LLM_MODE="batch")
    calls.add(2)
    defs = build(calls.bench.app)
    assert calls.extract().submitted == 2
    calls.bench.execute("update features.model_batches set batch_id = null")
    calls.add()
    assert look(defs, instance).run_requests
    with calls.bench.engine.begin() as conn:
        remove_workspace(conn, "acme")
    assert look(defs, instance).run_requests == []


def test_the_code_version_is_that_of_prompt_schema_and_model(calls: Calls) -> None:
    asset = build(calls.bench.app).resolve_assets_def(FEATURES)
    assert asset.code_versions_by_key[FEATURES] == version("gpt-test")
    assert asset.specs_by_key[FEATURES].deps


def test_the_sensor_looks_after_batches_that_have_ended_or_whose_submission_broke_off(
    calls: Calls, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_LLM_MODE", "batch")
    calls.bench.configure(INGEST_LLM_MODE="batch")
    calls.key(batch_seconds=3600)
    calls.add()
    defs = build(calls.bench.app)
    assert calls.extract().submitted == 1
    assert look(defs, instance).run_requests == []
    calls.bench.execute("update features.model_batches set batch_id = null")
    assert [request.partition_key for request in look(defs, instance).run_requests] == ["acme"]
    assert calls.extract().waiting == 1
    calls.bench.clock.advance(timedelta(hours=2))
    assert [request.partition_key for request in look(defs, instance).run_requests] == ["acme"]


def checked(instance: dg.DagsterInstance) -> dict[str, tuple[bool, str | None]]:
    """Return what pages show of the checks."""
    names = {dg.AssetCheckKey(FEATURES, name): name for name in CHECKS}
    shown = {name: Shown(instance, key).evaluation for key, name in names.items()}
    return {name: (one.passed, one.description) for name, one in shown.items() if one is not None}


def test_a_run_reports_the_checks_and_an_unread_transcript_fails_one_without_a_run(
    calls: Calls, instance: dg.DagsterInstance
) -> None:
    calls.add(2)
    defs = build(calls.bench.app)
    from_the_page = defs.resolve_job_def("__ASSET_JOB")
    assert from_the_page.execute_in_process(
        instance=instance, asset_selection=[FEATURES], partition_key="acme", raise_on_error=False
    ).success
    assert {name: passed for name, (passed, _) in checked(instance).items()} == {"read": True, "few_dropped": True}
    calls.add()
    calls.bench.execute("update raw.gong_calls set updated_at = now() - interval '25 hours'")
    watched(defs, instance)
    assert checked(instance)["read"] == (True, "Calls unread for more than 26 hours: 0.")
    calls.bench.execute("update raw.gong_calls set updated_at = now() - interval '27 hours'")
    watched(defs, instance)
    assert checked(instance)["read"] == (False, "Calls unread for more than 26 hours: 1.")
    calls.extract()
    watched(defs, instance)
    assert checked(instance)["read"][0]


def test_too_many_items_without_evidence_fail_a_check_that_names_the_workspace(
    calls: Calls, instance: dg.DagsterInstance
) -> None:
    calls.add()
    defs = build(calls.bench.app)
    calls.extract()
    calls.bench.execute("update features.gong_call_features set dropped = 3, items = '[{}]'")
    watched(defs, instance)
    shown = Shown(instance, dg.AssetCheckKey(FEATURES, "few_dropped")).evaluation
    assert shown is not None
    assert not shown.passed
    assert "| acme | 3 of 4 items |" in str(shown.metadata["others"].value)


def test_without_a_key_nothing_counts_as_unread(
    calls: Calls, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.add()
    calls.bench.execute("update raw.gong_calls set updated_at = now() - interval '27 hours'")
    calls.bench.configure(OPENAI_API_KEY="")
    monkeypatch.delenv("OPENAI_API_KEY")
    watched(build(calls.bench.app), instance)
    passed, said = checked(instance)["read"]
    assert passed
    assert "OPENAI_API_KEY is not set" in str(said)
