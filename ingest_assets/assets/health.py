"""`ops/sync_health`: all workspaces at a glance, as numbers that Dagster plots and a table."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from ingest_assets.assets.records import OWNERS
from ingest_assets.health import Overview
from ingest_assets.resources.ingestion import Database, Limits
from ingest_assets.settings import CoreSettings

HEALTH = dg.AssetKey(["ops", "sync_health"])
OVERVIEW_SECONDS = 3600  # how often there is a new point where nothing changes
LATE = 2 * timedelta(seconds=OVERVIEW_SECONDS)


@dataclass(frozen=True)
class Seen:
    """When `ops/sync_health` was last written, and with which states: the sensor's cursor."""

    at: float = 0.0
    fingerprint: str = ""

    @classmethod
    def of(cls, cursor: str | None) -> "Seen":
        at, _, fingerprint = (cursor or "").partition(" ")
        return cls(float(at or 0), fingerprint)

    @property
    def cursor(self) -> str:
        return f"{self.at} {self.fingerprint}"

    def is_over(self, overview: Overview, now: datetime) -> bool:
        """Whether a workspace changed its state, or the last point is old."""
        return overview.fingerprint() != self.fingerprint or now.timestamp() - self.at >= OVERVIEW_SECONDS


def take(engine: Engine, core: CoreSettings, now: datetime) -> Overview:
    """Read the overview of this moment."""
    with engine.connect() as conn:
        return Overview.read(conn, core, now)


def materialization(overview: Overview) -> dg.AssetMaterialization:
    """Return what shows an overview."""
    table = dg.MetadataValue.md(overview.markdown())
    return dg.AssetMaterialization(HEALTH, metadata={"overview": table, **overview.numbers()})


@dg.asset(
    key=HEALTH,
    group_name="ops",
    kinds={"postgres"},
    owners=OWNERS,
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE),
    description="How many workspaces are fresh, which are not and why, and how many syncs succeed. Written when a "
    "workspace changes its state, and hourly; where it is overdue itself, Dagster's daemon does not run.",
)
def sync_health_asset(database: Database, limits: Limits) -> dg.MaterializeResult[None]:
    """Take it now; the sensor `sync_health` does when something changed."""
    taken = take(database.engine(), limits.core(), datetime.now(UTC))
    return dg.MaterializeResult(metadata=materialization(taken).metadata)
