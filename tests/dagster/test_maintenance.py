"""Pruning: logs and history shrink, and what the partitions and checks show stays."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from ingest_assets.definitions import build
from ingest_assets.health import WINDOWS
from ingest_assets.resources.ingestion import forget_engines
from ingest_assets.schedules.maintenance import prune_dagster
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.dagster_forget import forget_words, forget_workspace
from ingest_assets.storage.history import success_rates
from ingest_assets.storage.pruning import delete_removed, prune_history
from ingest_assets.storage.workspaces import register_workspace, remove_workspace
from tests.workbench import Bench

KEYS = [f"w{number}" for number in range(6)]
BROKEN = "w5"
THING = dg.AssetKey(["raw", "thing"])
workspaces = dg.DynamicPartitionsDefinition(name="workspaces")


@dg.asset(key=THING, partitions_def=workspaces)
def thing(context: dg.AssetExecutionContext) -> None:
    if context.partition_key == BROKEN:
        raise dg.Failure("broken")


@pytest.fixture
def instance(bench: Bench) -> Iterator[dg.DagsterInstance]:
    storage = {"postgres": {"postgres_url": sqlalchemy_url(bench.app.database_url, "psycopg2")}}
    with dg.instance_for_test(overrides={"storage": storage}) as made:
        made.add_dynamic_partitions("workspaces", KEYS)
        yield made


def shown(instance: dg.DagsterInstance) -> dict[str, str]:
    """What the partitions page shows."""
    statuses = instance.get_status_by_partition(THING, KEYS, workspaces) or {}
    return {key: status.value for key, status in statuses.items() if status is not None}


def count(bench: Bench, table: str) -> int:
    with bench.engine.connect() as conn:
        found: int = conn.execute(text(f"select count(*) from {table}")).scalar_one()
    return found


def test_old_runs_go_and_every_partition_keeps_its_colour(bench: Bench, instance: dg.DagsterInstance) -> None:
    for _ in range(2):
        for key in KEYS:
            dg.materialize([thing], partition_key=key, instance=instance, raise_on_error=False)
    before = shown(instance)
    assert before == {key: "FAILED" if key == BROKEN else "MATERIALIZED" for key in KEYS}
    events, runs = count(bench, "event_logs"), count(bench, "runs")
    told: list[Any] = []

    prune_dagster(instance, datetime.now(UTC) - timedelta(days=1), lambda *args: told.append(args))
    assert (count(bench, "event_logs"), count(bench, "runs")) == (events, runs)

    prune_dagster(instance, datetime.now(UTC) + timedelta(days=1), lambda *args: told.append(args))
    assert count(bench, "event_logs") < events / 4
    assert count(bench, "runs") == 1  # the red one
    assert shown(instance) == before
    with bench.engine.connect() as conn:
        kept = conn.execute(text("select run_id from runs")).scalar_one()
    assert instance.all_logs(kept)
    dg.materialize([thing], partition_key="w0", instance=instance)
    assert shown(instance) == before


def test_a_purged_workspace_and_an_address_are_in_no_event(bench: Bench, instance: dg.DagsterInstance) -> None:
    for key in KEYS:
        dg.materialize([thing], partition_key=key, instance=instance, raise_on_error=False)
    with bench.engine.begin() as conn:
        conn.execute(text("update event_logs set event = replace(event, 'broken', 'Ada@x.example')"))
    assert dict(forget_words(bench.engine, "ada@x[.]example", "[erased]"))["Dagster's event_logs"] > 0
    assert count(bench, "event_logs where event ~* 'ada@x.example'") == 0
    assert "[erased]" in str(instance.all_logs(instance.get_runs()[0].run_id))
    deleted = dict(forget_workspace(bench.engine, "w0"))
    assert {"Dagster's event_logs", "Dagster's runs", "Dagster's dynamic_partitions"} <= deleted.keys()
    for table in ("event_logs", "runs", "run_tags", "dynamic_partitions", "asset_event_tags", "bulk_actions"):
        assert count(bench, f"{table} t where to_jsonb(t)::text ~ '\\mw0\\M'") == 0, table
    assert shown(instance) == {key: "FAILED" if key == BROKEN else "MATERIALIZED" for key in KEYS[1:]}


def test_old_syncs_go_but_each_accounts_newest(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    for _ in range(3):
        acme.reads()
    assert dict(prune_history(bench.engine, datetime.now(UTC) - timedelta(days=1)))["ingest.syncs"] == 0
    assert dict(prune_history(bench.engine, datetime.now(UTC) + timedelta(days=1)))["ingest.syncs"] == 2
    assert len(acme.history) == 1


def test_syncs_are_counted_by_ten_minutes_and_the_counts_go_with_the_history(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    acme.reads()
    bench.clock.advance(timedelta(hours=2))
    acme.fault("error", error="fatal_error", times=-1)
    assert acme.sync().status == "failed"
    now = bench.clock.now()

    def rates(since: timedelta) -> dict[tuple[str, str], tuple[int, int]]:
        with bench.engine.connect() as conn:
            return success_rates(conn, now + since, WINDOWS)

    assert rates(timedelta()) == {("slack", "1h"): (0, 1), ("slack", "24h"): (1, 2), ("slack", "7d"): (1, 2)}
    assert rates(timedelta(hours=23)) == {("slack", "24h"): (0, 1), ("slack", "7d"): (1, 2)}
    assert not rates(timedelta(days=7, minutes=10))
    list(prune_history(bench.engine, now - timedelta(hours=1)))
    assert rates(timedelta())["slack", "7d"] == (0, 1)


def test_a_removed_workspace_keeps_its_data_until_its_time_is_over(bench: Bench) -> None:
    for name in ("acme", "globex"):
        made = bench.workspace(name, "general")
        made.say_many("general", 3)
        made.reads()
    with bench.engine.begin() as conn:
        remove_workspace(conn, "acme")
    assert not list(delete_removed(bench.engine, datetime.now(UTC) - timedelta(days=1)))
    [(name, rows)] = delete_removed(bench.engine, datetime.now(UTC) + timedelta(days=1))
    assert name == "acme"
    assert rows > 3
    with bench.engine.connect() as conn:
        for table in ("raw.slack_messages", "ingest.accounts", "ingest.syncs", "ingest.workspaces"):
            assert set(conn.execute(text(f"select workspace_id from {table}")).scalars()) == {"globex"}, table


def test_a_workspace_that_comes_back_while_others_are_deleted_keeps_everything(bench: Bench) -> None:
    for name in ("acme", "globex"):
        bench.workspace(name, "general").reads()
        with bench.engine.begin() as conn:
            remove_workspace(conn, name)
    deleted = delete_removed(bench.engine, datetime.now(UTC) + timedelta(days=1))
    first, _ = next(deleted)
    other = {"acme": "globex", "globex": "acme"}[first]
    with bench.engine.begin() as conn:
        register_workspace(conn, other)
    assert not list(deleted)
    assert count(bench, "ingest.syncs") == 1


def test_the_job_derives_rows_of_an_older_parser_anew_and_replays_what_was_set_aside(
    bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = bench.workspace("acme", "general")
    acme.say("general", "as it was said")
    acme.say("general", "odd", extra={"edited": "yes"})
    acme.reads()
    bench.execute(
        "update ingest.rejected_records set payload = payload - 'edited'"
    )  # as if it could be parsed now
    bench.execute("update raw.slack_messages set parser_version = 0, text = 'as an older parser read it'")
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    assert build(bench.app).resolve_job_def("maintenance").execute_in_process(instance=instance).success
    assert {row.text for row in acme.rows.values()} == {"as it was said", "odd"}
    assert acme.rejected == []
    forget_engines()
