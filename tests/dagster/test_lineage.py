"""The lineage beside the partitioned assets, and the words of everything in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from ingest_assets.app import App
from ingest_assets.assets.lineage import directory_key
from ingest_assets.assets.records import api_key
from ingest_assets.definitions import build
from ingest_assets.features.featured import FEATURED
from ingest_assets.resources.from_settings import configured
from ingest_assets.resources.ingestion import Database, forget_engines
from ingest_assets.schedules import lineage as sensors
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.records import SlackUser
from tests.workbench import Bench

USERS = directory_key(SlackUser.table)


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build(App.load({}))


class TestTheCatalogue:
    def test_describes_every_asset_and_names_its_owner(self, defs: dg.Definitions) -> None:
        specs = defs.resolve_all_asset_specs()
        assert {spec.key.to_user_string() for spec in specs} == {
            *(record.table.fullname.replace(".", "/") for source in SOURCES for record in source.records),
            *(api_key(source).to_user_string() for source in SOURCES),
            *(kind.table.fullname.replace(".", "/") for kind in FEATURED),
            "ops/sync_health",
        }
        for spec in specs:
            assert spec.description, spec.key
            assert spec.owners, spec.key
            assert spec.group_name, spec.key

    def test_describes_every_column(self, defs: dg.Definitions) -> None:
        tables = [spec for spec in defs.resolve_all_asset_specs() if "dagster/table_name" in spec.metadata]
        assert len(tables) == sum(len(source.records) for source in SOURCES) + len(FEATURED)
        for spec in tables:
            schema: Any = spec.metadata["dagster/column_schema"]
            for column in schema.columns:
                assert column.description, f"{spec.key.to_user_string()}.{column.name}"

    def test_describes_what_runs_by_itself(self, defs: dg.Definitions) -> None:
        for found in (defs.sensors, defs.schedules, defs.jobs):
            for one in found or []:
                assert getattr(one, "description", None), one

    def test_draws_the_tables_of_names_below_their_api(self, defs: dg.Definitions) -> None:
        graph = defs.resolve_asset_graph()
        for source in SOURCES:
            for record in source.records:
                assert graph.get(dg.AssetKey(["raw", record.table.name])).parent_keys == {api_key(source)}


class TestTheSensor:
    @pytest.fixture
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.instance_for_test() as made:
            yield made
        forget_engines()

    def look(self, bench: Bench, instance: dg.DagsterInstance, cursor: str | None = None) -> str:
        """Evaluate the sensor; return its cursor."""
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"database": configured(Database, url=bench.database_url)}
        ) as context:
            sensors.lineage(context)
            return str(context.cursor)

    def events(self, instance: dg.DagsterInstance, key: dg.AssetKey) -> list[Any]:
        """What was reported of an asset, the newest first."""
        observed = instance.fetch_observations(key, limit=99).records
        made = instance.fetch_materializations(key, limit=99).records
        found: list[Any] = [record.asset_observation for record in observed]
        return found + [record.asset_materialization for record in made]

    def test_says_how_an_api_is_used_in_one_event_for_all_workspaces(
        self, bench: Bench, instance: dg.DagsterInstance
    ) -> None:
        results = [bench.workspace(name, "general").reads() for name in ("acme", "globex", "initech")]
        before = datetime.now(UTC) - timedelta(minutes=1)
        cursor = self.look(bench, instance)
        [event] = self.events(instance, api_key(SLACK))
        told = {name: value.value for name, value in event.metadata.items()}
        last_answer = told.pop("last_answer")
        assert told == {
            "accounts": 3,
            "requests_1h": sum(sum(result.calls.values()) for result in results),
            "syncs_1h": 3,
            "failed_syncs_1h": 0,
        }
        assert last_answer > before.timestamp()
        assert not self.events(instance, dg.AssetKey(["vendors", "gong_api"]))
        self.look(bench, instance, cursor)
        assert len(self.events(instance, api_key(SLACK))) == 1

    def test_tells_within_five_minutes_that_a_vendor_does_not_answer(
        self, bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acme = bench.workspace("acme", "general")
        acme.reads()
        cursor = self.look(bench, instance)
        acme.fault("status", status=503, times=99)
        failed = acme.sync()
        assert failed.status == "failed"
        self.look(bench, instance, cursor)
        assert len(self.events(instance, api_key(SLACK))) == 1
        monkeypatch.setattr(sensors, "APIS_RHYTHM", timedelta(0))
        cursor = self.look(bench, instance, cursor)
        newest, first = self.events(instance, api_key(SLACK))
        assert newest.metadata["failed_syncs_1h"].value == 1
        assert newest.metadata["last_answer"] == first.metadata["last_answer"]
        assert failed.reason
        assert failed.reason not in cursor

    def test_reports_a_table_of_names_when_it_changed_and_each_hour_at_most(
        self, bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acme = bench.workspace("acme", "general")
        cursor = self.look(bench, instance)
        assert not [*self.events(instance, USERS), *self.events(instance, api_key(SLACK))]
        acme.reads()
        cursor = self.look(bench, instance, cursor)
        [event] = self.events(instance, USERS)
        assert event.metadata["dagster/row_count"].value == len(acme.stored(SlackUser.table))
        assert event.metadata["workspaces"].value == 1
        bench.execute("update raw.slack_users set updated_at = now()")
        assert self.look(bench, instance, cursor)
        assert len(self.events(instance, USERS)) == 1
        monkeypatch.setattr(sensors, "TABLES_RHYTHM", timedelta(0))
        cursor = self.look(bench, instance, cursor)
        assert len(self.events(instance, USERS)) == 2
        self.look(bench, instance, cursor)
        assert len(self.events(instance, USERS)) == 2
