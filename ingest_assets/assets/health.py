"""`ops/sync_health`: all workspaces at a glance, as numbers that Dagster plots and a table."""

from datetime import UTC, datetime

import dagster as dg
from sqlalchemy import Engine

from ingest_assets.assets.records import OWNERS
from ingest_assets.health import Overview
from ingest_assets.resources.ingestion import Database, Limits
from ingest_assets.settings import CoreSettings

HEALTH = dg.AssetKey(["ops", "sync_health"])


def observe(engine: Engine, core: CoreSettings, now: datetime) -> dg.AssetMaterialization:
    """Take the overview of this moment."""
    with engine.connect() as conn:
        overview = Overview.read(conn, core, now)
    table = dg.MetadataValue.md(overview.markdown())
    return dg.AssetMaterialization(HEALTH, metadata={"overview": table, **overview.numbers()})


@dg.asset(
    key=HEALTH,
    group_name="ops",
    kinds={"postgres"},
    owners=OWNERS,
    description="How many workspaces are fresh, which are not and why, and how many syncs succeed.",
)
def sync_health_asset(database: Database, limits: Limits) -> dg.MaterializeResult[None]:
    """Take it now; the sensor `sync_health` does every five minutes."""
    taken = observe(database.engine(), limits.core(), datetime.now(UTC))
    return dg.MaterializeResult(metadata=taken.metadata)
