"""What is looked at all the time: everybody's health, and runs whose worker is gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ingest_assets.assets.checks import report_health
from ingest_assets.assets.features import POOL, features_key
from ingest_assets.assets.health import observe
from ingest_assets.assets.records import asset_keys
from ingest_assets.features.kinds import FEATURED
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.schedules.maintenance import maintenance
from ingest_assets.schedules.unread import features_job_name
from ingest_assets.sources import SOURCES
from ingest_assets.storage import overview

HEALTH_SECONDS, LOOK_SECONDS = 60, 30
OVERVIEW_SECONDS = 300  # how often `ops/sync_health` gets a new point
REPORTS = 500  # check results of one look, so that it stays short; the rest comes with the next


@dg.sensor(
    minimum_interval_seconds=HEALTH_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "limits"},
    description="Report the checks that changed, and every five minutes the overview ops/sync_health.",
)
def sync_health(context: dg.SensorEvaluationContext) -> Any:
    """Report without a run: neither needs one."""
    engine, core, now = context.resources.database.engine(), context.resources.limits.core(), datetime.now(UTC)
    keep_connections(context.instance)
    told = []
    for source in SOURCES:
        count = report_health(context.instance, source, engine, core, now, limit=REPORTS // len(SOURCES))
        told.append(f"{source.title} {count}")
    if now.timestamp() - float(context.cursor or 0) >= OVERVIEW_SECONDS:
        context.instance.report_runless_asset_event(observe(engine, core, now))
        context.update_cursor(str(now.timestamp()))
        told.append("and the overview")
    return dg.SkipReason(f"No run is needed. Reported changed checks: {', '.join(told)}.")


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "limits"},
    description="End runs whose worker is gone, where Dagster cannot see that itself (Celery).",
)
def abandoned_runs(context: dg.SensorEvaluationContext) -> Any:
    """A living run holds leases or finishes accounts; one that did neither for two leases' length is dead."""
    patience = timedelta(seconds=2 * context.resources.limits.core().lease_seconds)
    since = datetime.now(UTC) - patience
    jobs = {f"{source.name}_sync" for source in SOURCES} | {features_job_name(kind) for kind in FEATURED}
    jobs.add(maintenance.name)
    assets = {key for source in SOURCES for key in asset_keys(source)} | {features_key(kind) for kind in FEATURED}
    records = context.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    started = {
        run.run_id: run
        for run, start_time in ((record.dagster_run, record.start_time) for record in records)
        # a run from an asset's page or of a backfill is of Dagster's own job, for chosen assets
        if (run.job_name in jobs or (run.asset_selection and run.asset_selection <= assets))
        and (start_time or 0) < since.timestamp()
    }
    waiting = context.instance.event_log_storage.get_concurrency_info(POOL).pending_run_ids
    started = {run_id: run for run_id, run in started.items() if run_id not in waiting}
    if not started:
        return dg.SkipReason("No run is under way for that long.")
    with context.resources.database.engine().connect() as conn:
        dead = overview.silent_owners(conn, list(started), since)
    for run_id in sorted(dead):
        silence = f"{patience.total_seconds():.0f} s"
        message = f"The worker of this run gave no sign for {silence}; what it did not finish is due again."
        context.instance.report_run_failed(started[run_id], message)
    return dg.SkipReason(f"{len(started)} runs are under way, {len(dead)} of them were abandoned and ended.")
