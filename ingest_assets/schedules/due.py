"""Healthy workspaces travel together; a failing one travels alone.

A Dagster run costs about 4 CPU-seconds before any work. So a few due workspaces get a partition run each, many
share batches, and one that failed is retried in a partition run of its own, with its own log and its own
red square.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ingest_assets.assets.checks import report_health
from ingest_assets.assets.partitions import register
from ingest_assets.assets.records import asset_keys, op_name
from ingest_assets.sources.base import Source
from ingest_assets.storage import accounts as storage

FEW = 20  # up to so many, each workspace has a run of its own
BATCH = 500  # workspaces in one run otherwise
ALONE = 20  # failing workspaces retried by one tick
BATCH_TAG = "ingest/batch"
RETRY_SECONDS = 60  # how often due retries are looked for, whatever the schedule

LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def sync_job(source: Source) -> Any:
    """The job behind schedule, retries and backfills of a source."""
    return dg.define_asset_job(
        f"{source.name}_sync",
        selection=dg.AssetSelection.assets(*asset_keys(source)).without_checks(),
        executor_def=dg.in_process_executor,
        description=f"Sync {source.title} for the chosen workspaces.",
    )


def sync_schedule(source: Source, job: Any, cron: str) -> dg.ScheduleDefinition:
    """Sync what is due at each tick; switched off until an operator switches it on."""

    @dg.schedule(
        name=f"{source.name}_sync",
        job=job,
        cron_schedule=cron,
        required_resource_keys={"database", "limits"},
        description=f"Sync all due {source.title} workspaces.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Any:
        return _tick(context, source, job.name, context.scheduled_execution_time, retries_only=False)

    return tick


def retry_sensor(source: Source, job: Any) -> dg.SensorDefinition:
    """Retry failed accounts when their backoff is over, between the ticks of the schedule."""

    @dg.sensor(
        name=f"{source.name}_retries",
        job=job,
        minimum_interval_seconds=RETRY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"database", "limits"},
        description=f"Retry failed {source.title} accounts after 5, 10 and 20 minutes.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        return _tick(context, source, job.name, datetime.now(UTC), retries_only=True)

    return look


def _tick(context: Any, source: Source, job_name: str, now: datetime, *, retries_only: bool) -> Any:
    engine = context.resources.database.engine()
    report_health(context.instance, source, engine, context.resources.limits.core(), now)
    with engine.connect() as conn:
        register(context.instance, storage.workspace_ids(conn))
        rows = storage.due_workspaces(conn, source.name, now, retries_only=retries_only)
    running, busy, batch_runs = under_way(context.instance, job_name)
    together = [row.workspace_id for row in rows if not row.alone and row.workspace_id not in busy]
    alone = [row.workspace_id for row in rows if row.alone and row.workspace_id not in busy]
    why = f"No {source.title} workspace is due ({len(rows)} due, {len(running)} runs under way)."
    if batch_runs and len(together) > FEW:
        why = f"The batch run {batch_runs[0]} is unfinished; {len(together)} workspaces wait for the next tick."
        context.log.info(why)
        together = []
    found = list(requests(op_name(source), together, alone, f"{now:%Y-%m-%dT%H:%M:%S}"))
    return found or dg.SkipReason(why)


def under_way(instance: dg.DagsterInstance, job_name: str) -> tuple[Sequence[Any], set[str | None], list[str]]:
    """Give a job's live runs, the workspaces that have one of their own, and the ids of batches."""
    running = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=LIVE))
    busy = {run.tags.get("dagster/partition") for run in running}
    return running, busy, [run.run_id for run in running if BATCH_TAG in run.tags]


def requests(op: str, together: Sequence[str], alone: Sequence[str], moment: str) -> Iterator[dg.RunRequest]:
    """Ask for a batch where there are many, and for partition runs otherwise."""
    single = list(alone[:ALONE])
    if len(together) <= FEW:
        single += together
    else:
        for start in range(0, len(together), BATCH):
            keys = list(together[start : start + BATCH])
            yield dg.RunRequest(
                run_key=f"{moment}:{start}",
                run_config={"ops": {op: {"config": {"workspaces": keys}}}},
                tags={BATCH_TAG: str(len(keys))},
            )
    for workspace_id in single:
        yield dg.RunRequest(run_key=f"{moment}:{workspace_id}", partition_key=workspace_id)
