"""Runs for who is due: a schedule's tick says when, and asks for the first; a sensor asks for whoever is left.

Whoever a tick leaves waiting, failed and is to be retried, or did not finish in time gets a run from the sensor,
so that all are not read at once. Which runs these are is decided in `ingest_assets.dispatch`.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import dagster as dg

from ingest_assets.assets.partitions import register
from ingest_assets.assets.records import RESERVATION_TAG, asset_keys, op_name
from ingest_assets.dispatch import Asked, LiveRuns, dispatch
from ingest_assets.sources.source import Source

BATCH_TAG = "ingest/batch"
LOOK_SECONDS = 10
LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


Requested = list[dg.RunRequest] | dg.SkipReason


def sync_job(source: Source) -> Any:
    """Make the job behind schedule, sensor and backfills of a source."""
    return dg.define_asset_job(
        f"{source.name}_sync",
        selection=dg.AssetSelection.assets(*asset_keys(source)).without_checks(),
        executor_def=dg.in_process_executor,
        description=f"Sync {source.title} for the chosen workspaces.",
    )


def sync_schedule(source: Source, job: Any, cron: str) -> dg.ScheduleDefinition:
    """Sync everybody at each tick; switched off until an operator switches it on."""

    @dg.schedule(
        name=f"{source.name}_sync",
        job=job,
        cron_schedule=cron,
        required_resource_keys={"database", "limits"},
        description=f"Sync all {source.title} workspaces; where they are many, {source.name}_due goes on.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Requested:
        return start_runs(context, source, job.name, tick=True)

    return tick


def due_sensor(source: Source, job: Any) -> dg.SensorDefinition:
    """Start runs for accounts whose turn has come: after a failure's pause, a time limit, or a batch run."""

    @dg.sensor(
        name=f"{source.name}_due",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"database", "limits"},
        description=f"Start runs for the {source.title} workspaces that a tick left waiting; retry who failed.",
    )
    def look(context: dg.SensorEvaluationContext) -> Requested:
        return start_runs(context, source, job.name)

    return look


def start_runs(context: Any, source: Source, job_name: str, *, tick: bool = False) -> Requested:
    """Return the run requests for who is due, or the reason why there are none."""
    now, op = datetime.now(UTC), op_name(source)
    plan = dispatch(
        context.resources.database.engine(),
        source,
        lambda held: live_runs(context.instance, job_name, op, held),
        context.resources.limits.core(),
        now,
        by=f"{now:%Y-%m-%dT%H:%M:%S}-{uuid4().hex[:8]}",
        tick=tick,
    )
    if plan.down:
        context.log.warning(plan.why)
    elif plan.why:
        context.log.info(plan.why)
    if not plan.runs:
        return dg.SkipReason(plan.why)
    register(context.instance, [key for run in plan.runs for key in run.workspaces])
    return [requested(op, run) for run in plan.runs]


def requested(op: str, run: Asked) -> dg.RunRequest:
    """Ask Dagster for a run; who failed before comes last."""
    tags = {RESERVATION_TAG: run.reservation} if run.reservation else {}
    if run.urgent:
        tags["dagster/priority"] = "1"
    if not run.batch:
        [key] = run.workspaces
        return dg.RunRequest(run_key=f"{run.reservation}:{key}", partition_key=key, tags=tags)
    keys = list(run.workspaces)
    return dg.RunRequest(
        run_key=run.reservation,
        run_config={"ops": {op: {"config": {"workspaces": keys}}}},
        tags={**tags, BATCH_TAG: str(len(keys))},
    )


def live_runs(
    instance: dg.DagsterInstance, job_name: str, op: str, reservations: Collection[str] = ()
) -> LiveRuns:
    """Find a job's runs that are not finished, and which of some reservations had a run."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=LIVE))
    reserved = dg.RunsFilter(tags={RESERVATION_TAG: list(reservations)})
    begun = instance.get_runs(reserved) if reservations else []
    return LiveRuns(
        busy={key for run in runs for key in _workspaces_of(run, op)},
        batches=[run.run_id for run in runs if BATCH_TAG in run.tags],
        alone=sum(RESERVATION_TAG in run.tags and BATCH_TAG not in run.tags for run in runs),
        reservations={run.tags[RESERVATION_TAG] for run in begun},
    )


def _workspaces_of(run: dg.DagsterRun, op: str) -> Iterator[str]:
    if BATCH_TAG in run.tags:
        config: Any = run.run_config
        yield from config["ops"][op]["config"]["workspaces"]
    elif "dagster/partition" in run.tags:
        yield run.tags["dagster/partition"]
