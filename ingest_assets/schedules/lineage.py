"""Report what no run materialises: how the vendors' APIs are used, and that tables of names have changed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import Connection

from ingest_assets.assets.lineage import directory_key, names_changed, observation
from ingest_assets.assets.records import api_key
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.resources.ingestion import Database
from ingest_assets.sources import SOURCES
from ingest_assets.storage.lineage import api_use, table_state

LOOK_SECONDS = 60
WINDOW = timedelta(hours=1)  # of syncs that an observation sums up
APIS_RHYTHM = timedelta(minutes=5)
TABLES_RHYTHM = timedelta(hours=1)  # names are read daily, and counting a table reads it whole

Event = dg.AssetObservation | dg.AssetMaterialization
Known = dict[str, tuple[str, str]]
"""By asset: what was found last, and when."""


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Observe the vendors' APIs every five minutes, and each hour report tables of names that changed. "
    "It requests no run.",
)
def lineage(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Report without a run what is not as it was."""
    known: Known = json.loads(context.cursor or "{}")
    now = datetime.now(UTC)
    with database.engine().connect() as conn:
        found = {event.asset_key.to_user_string(): (state, event) for state, event in _found(conn, known, now)}
    told = [name for name, (state, _) in found.items() if name not in known or known[name][0] != state]
    keep_connections(context.instance)
    for name in told:
        context.instance.report_runless_asset_event(found[name][1])
    context.update_cursor(
        json.dumps(known | {name: (state, now.isoformat()) for name, (state, _) in found.items()})
    )
    return dg.SkipReason(f"No run is needed. Reported: {', '.join(told) or 'nothing, as nothing changed'}.")


def _found(conn: Connection, known: Known, now: datetime) -> Iterator[tuple[str, Event]]:
    """Look at the assets whose turn it is; one that never had anything to report has its turn each time."""
    uses = api_use(conn, now - WINDOW)
    for source in SOURCES:
        use = uses.get(source.name)
        if use is not None and (use.syncs or use.last_answer) and _due(api_key(source), known, now, APIS_RHYTHM):
            yield str(use), observation(source, use)
    for table in (record.table for source in SOURCES for record in source.directories):
        if _due(directory_key(table), known, now, TABLES_RHYTHM):
            state = table_state(conn, table)
            if state.changed_at is not None:
                yield str(state), names_changed(table, state)


def _due(key: dg.AssetKey, known: Known, now: datetime, rhythm: timedelta) -> bool:
    entry = known.get(key.to_user_string())
    return entry is None or now - datetime.fromisoformat(entry[1]) >= rhythm
