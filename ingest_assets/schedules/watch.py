"""What is looked at all the time: everybody's health, and runs whose worker is gone."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_assets.assets.checks import Checks
from ingest_assets.assets.feature_checks import evaluations
from ingest_assets.assets.features import POOL, features_key
from ingest_assets.assets.health import Seen, materialization, take
from ingest_assets.assets.records import asset_keys
from ingest_assets.assets.reporting import report_check, settle
from ingest_assets.features.featured import FEATURED
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.schedules.maintenance import maintenance
from ingest_assets.schedules.unread import features_job_name
from ingest_assets.sources import SOURCES
from ingest_assets.storage.account_leases import silent_owners

HEALTH_SECONDS, LOOK_SECONDS = 60, 30
REPORTS = 500  # check results of one look, so that it stays short; the rest comes with the next


@dg.sensor(
    minimum_interval_seconds=HEALTH_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "language_model", "limits"},
    description="Report the checks that changed, and ops/sync_health when a workspace's state changes, or hourly. "
    "It requests no run.",
)
def sync_health(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report without a run: neither needs one."""
    instance, engine, now = context.instance, context.resources.database.engine(), datetime.now(UTC)
    core = context.resources.limits.core()
    keep_connections(instance)
    told = []
    for source in SOURCES:
        checks = Checks(instance=instance, source=source, engine=engine, core=core)
        told.append(f"{source.title} {_report_changes(checks, now)}")
    settings = context.resources.language_model.options()
    for kind in FEATURED:
        changed = [
            settle(instance, evaluation)
            for evaluation in evaluations(instance, engine, kind, features_key(kind), settings)
        ]
        told.append(f"{kind.noun}s {sum(changed)}")
    seen = Seen.of(context.cursor)
    overview = take(engine, core, now)
    if seen.is_over(overview, now):
        instance.report_runless_asset_event(materialization(overview))
        context.update_cursor(Seen(now.timestamp(), overview.fingerprint()).cursor)
        told.append("and the overview")
    return dg.SkipReason(f"No run is needed. Reported changed checks: {', '.join(told)}.")


def _report_changes(checks: Checks, now: datetime) -> int:
    """Report what changed of a source's checks; return how many reports that took."""
    count = 0
    for evaluation in checks.of_workspaces(now, limit=REPORTS // len(SOURCES)):
        report_check(checks.instance, evaluation, run_id=None)
        count += 1
    checks.settle_workspaces()
    return count + settle(checks.instance, checks.of_all(now))


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "limits"},
    description="End runs whose worker died, where Dagster cannot see it itself (Celery). It requests no run.",
)
def abandoned_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """End runs that held no lease and finished no account for two leases' length: their workers are dead."""
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
        dead = silent_owners(conn, list(started), since)
    for run_id in sorted(dead):
        silence = f"{patience.total_seconds():.0f} s"
        message = f"The worker of this run gave no sign for {silence}; what it did not finish is due again."
        context.instance.report_run_failed(started[run_id], message)
    return dg.SkipReason(f"{len(started)} runs are under way, {len(dead)} of them were abandoned and ended.")
