"""Report what no run materialises: how the vendors' APIs are used, and that tables of names have changed."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from ingest_assets.assets.lineage import names_changed, observation
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.resources.ingestion import Database
from ingest_assets.sources import SOURCES
from ingest_assets.storage.lineage import api_use, table_state

LOOK_SECONDS = 300
WINDOW = timedelta(hours=1)
TABLES_RHYTHM = timedelta(hours=1)  # names are read daily, and counting a table reads it whole
COUNTED = "tables_counted_at"

Event = dg.AssetObservation | dg.AssetMaterialization
News = tuple[str, str, Event]
"""(what the cursor knows it by, how it is now, the event that says so)"""


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Observe the vendors' APIs every five minutes, and each hour report tables of names that changed.",
)
def lineage(context: dg.SensorEvaluationContext, database: Database) -> Any:
    """Report without a run what is not as it was at the last look."""
    known: dict[str, str] = json.loads(context.cursor or "{}")
    now = datetime.now(UTC)
    with database.engine().connect() as conn:
        found = [*_apis(conn, now), *_tables(conn, known, now)]
    keep_connections(context.instance)
    told = [name for name, state, _ in found if known.get(name) != state]
    for name, state, event in found:
        if known.get(name) != state:
            context.instance.report_runless_asset_event(event)
    counted = {COUNTED: now.isoformat()} if _due(known, now) else {}
    context.update_cursor(json.dumps(known | {name: state for name, state, _ in found} | counted))
    return dg.SkipReason(f"No run is needed. Reported: {', '.join(told) or 'nothing, as nothing changed'}.")


def _apis(conn: Connection, now: datetime) -> Iterator[News]:
    uses = api_use(conn, now - WINDOW)
    for source in SOURCES:
        if source.name in uses:
            event = observation(source, uses[source.name])
            yield event.asset_key.to_user_string(), str(uses[source.name]), event


def _tables(conn: Connection, known: Mapping[str, str], now: datetime) -> Iterator[News]:
    if not _due(known, now):
        return
    for table in (record.table for source in SOURCES for record in source.directories):
        state = table_state(conn, table)
        if state.changed_at is not None:
            event = names_changed(table, state)
            yield event.asset_key.to_user_string(), str(state), event


def _due(known: Mapping[str, str], now: datetime) -> bool:
    counted = known.get(COUNTED)
    return counted is None or now - datetime.fromisoformat(counted) >= TABLES_RHYTHM
