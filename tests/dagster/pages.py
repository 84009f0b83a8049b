"""A project in Dagster, and what its pages show of it, asked as they ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.loader import LoadingContext
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from sqlalchemy import text

from ingest_assets.assets.checks import FRESH, HEALTHY, Checks
from ingest_assets.assets.partitions import workspaces
from ingest_assets.cli.connecting import connect_account
from ingest_assets.definitions import build
from ingest_assets.resources import ingestion
from ingest_assets.schedules import watch
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.sources.slack import SLACK
from tests.workbench import Bench

WORLD = {"channels": 1, "messages": 5, "threads": 1, "replies": 2}
MESSAGES = dg.AssetKey(["raw", "slack_messages"])


class Loading(LoadingContext):
    """What a page's request loads with."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._loaders: dict[Any, Any] = {}

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._instance

    @property
    def loaders(self) -> dict[Any, Any]:
        return self._loaders


class Pages:
    """A project and what Dagster's pages show of it."""

    def __init__(self, bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench, self.instance = bench, instance
        for name, value in bench.environ.items():
            monkeypatch.setenv(name, value)
        self.defs = build(bench.app)
        self._cursor: str | None = None

    def join(self, *names: str, accounts: Sequence[str] = ()) -> None:
        """Connect workspaces, with an account of the same name each, or one with several accounts."""
        for name in names:
            for account in accounts or [name]:
                team = self.bench.team(account, world=WORLD)
                connect_account(
                    self.bench.app,
                    SLACK,
                    name,
                    given={"token": "-"},
                    settings={},
                    name=account,
                    read_secret=lambda _field, token=team.token: token,  # type: ignore[misc]  # bound now
                )
        self.instance.add_dynamic_partitions("workspaces", list(names))

    def revoke(self, name: str, *, revoked: bool = True) -> None:
        """Refuse an account's login, or take it again."""
        self.bench.order("slack/token", team=self.team(name), revoked=revoked)

    def team(self, name: str) -> str:
        return str(self.ask("select external_id from ingest.accounts where name = :name", name=name))

    def reason(self, workspace_id: str) -> str:
        return str(
            self.ask(
                "select reason from ingest.check_reports where workspace_id = :w and check_name = 'healthy'",
                w=workspace_id,
            )
        )

    def log(self, result: Any) -> list[tuple[str, str]]:
        """Return (level, line) of what a run logged by itself."""
        return [
            (logging.getLevelName(entry.level), entry.user_message)
            for entry in self.instance.all_logs(result.run_id)
            if entry.dagster_event is None
        ]

    def ask(self, query: str, **params: Any) -> Any:
        with self.bench.engine.connect() as conn:
            return conn.execute(text(query), params).scalar_one()

    def materialize(self, **how: Any) -> Any:
        """Run what "Materialize" on the asset's page launches: the asset with its checks."""
        return self._run("__ASSET_JOB", asset_selection=[MESSAGES], **how)

    def batch(self, *names: str) -> Any:
        return self._run("slack_sync", run_config={"ops": {"sync_slack": {"config": {"workspaces": list(names)}}}})

    def sync(self, name: str, **how: Any) -> Any:
        """Run what a schedule or sensor starts for one workspace: without checks."""
        return self._run("slack_sync", partition_key=name, **how)

    def backfill(self, first: str, last: str) -> Any:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self.materialize(tags=tags)

    def execute_all(self, *names: str, **how: Any) -> Any:
        """Run what "Execute all" launches: the checks without a partition."""
        job = self.defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=frozenset(),
            asset_check_selection={dg.AssetCheckKey(MESSAGES, n) for n in names or (FRESH, HEALTHY)},
        )
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **how)

    def _run(self, name: str, **how: Any) -> Any:
        job = self.defs.resolve_job_def(name)
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **how)

    def look(self) -> None:
        """Let the sensor look."""
        sensor = watch.sync_health
        with (
            partition_loading_context(dynamic_partitions_store=self.instance),
            dg.build_sensor_context(
                instance=self.instance,
                resources=self.defs.resources,
                repository_def=self.defs.get_repository_def(),
                cursor=self._cursor,
            ) as context,
        ):
            self._cursor = sensor.evaluate_tick(context).cursor

    def partitions(self, check: str = HEALTHY) -> dict[str, set[str]]:
        """Return the partitions by colour; those that are in none are shown as "Missing"."""
        key = dg.AssetCheckKey(MESSAGES, check)
        with partition_loading_context(dynamic_partitions_store=self.instance):
            state = self.instance.event_log_storage.get_asset_check_state([(key, workspaces)])[key]
            found = {
                status.value: set(subset.subset_value.get_partition_keys())
                for status, subset in state.subsets.items()
            }
        return {status: keys for status, keys in found.items() if keys}

    def header(self, check: str) -> tuple[str, str | None]:
        """Return status and description of `executionForLatestMaterialization`, which the header counts."""

        async def asked() -> tuple[str, str | None]:
            loading = Loading(self.instance)
            record = await AssetCheckExecutionRecord.gen(loading, dg.AssetCheckKey(MESSAGES, check))
            if record is None or not await record.targets_latest_materialization(loading):
                return "not evaluated", None
            status = await record.resolve_status(loading)
            return status.value, record.evaluation.description if record.evaluation else None

        return asyncio.run(asked())

    def checks(self) -> Checks:
        app = self.bench.app
        return Checks(instance=self.instance, source=SLACK, engine=app.engine, core=app.core)


@contextmanager
def opened(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """Dagster's real PostgreSQL storage, in the database of the project."""
    storage = {"postgres": {"postgres_url": sqlalchemy_url(bench.app.database_url, "psycopg2")}}
    with dg.instance_for_test(overrides={"storage": storage}) as instance:
        yield Pages(bench, instance, monkeypatch)
    ingestion.forget_engines()
