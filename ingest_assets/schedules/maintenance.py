"""Once a night: prune what only grows."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_assets.storage import dagster_log, pruning

NIGHTLY = "30 3 * * *"


@dg.op(
    required_resource_keys={"database", "limits"},
    description="Delete run and event logs, sync history and model requests older than INGEST_KEEP_HISTORY_DAYS, "
    "and the data of workspaces removed INGEST_KEEP_REMOVED_DAYS ago.",
)
def prune(context: dg.OpExecutionContext) -> None:
    """What partitions and checks show stays, and so do runs that are not finished."""
    core, engine, now = context.resources.limits.core(), context.resources.database.engine(), datetime.now(UTC)
    before = now - timedelta(days=core.keep_history_days)
    for table, count in pruning.prune_history(engine, before):
        context.log.info("%s: %d rows deleted", table, count)
    if core.keep_removed_days is not None:
        for workspace_id, count in pruning.delete_removed(engine, now - timedelta(days=core.keep_removed_days)):
            context.log.info("workspace %s: %d rows deleted", workspace_id, count)
    prune_dagster(context.instance, before, context.log.info)


def prune_dagster(instance: dg.DagsterInstance, before: datetime, tell: dagster_log.Tell) -> None:
    """Prune the instance's log in its PostgreSQL."""
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]  # of the PostgreSQL storage
        for table, count, runs in dagster_log.prune(conn, before.astimezone(UTC).replace(tzinfo=None)):
            tell("Dagster's %s: %d rows deleted", table, count)
            for run_id in runs:
                instance.compute_log_manager.delete_logs(prefix=[run_id])


@dg.job(executor_def=dg.in_process_executor, description="Prune logs and history by age.")
def maintenance() -> None:
    prune()


@dg.schedule(job=maintenance, cron_schedule=NIGHTLY, default_status=dg.DefaultScheduleStatus.RUNNING)
def nightly_maintenance(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the run."""
    return dg.RunRequest()
