"""Healthy workspaces travel together; a failing one travels alone.

A Dagster run costs about 4 CPU-seconds before any work. So a few due workspaces get a partition run each, many
share batches, and one that failed is retried in a partition run of its own, with its own log and its own
red square.

The schedule says when: its tick calls up every account that waits for it. The sensor says how fast: each look
starts at most so many batches as may be under way, longest waiting first, so that all are not read at once
and whoever was left over is first at the next look. Both are the same function.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ingest_assets.assets.partitions import register
from ingest_assets.assets.records import asset_keys, op_name
from ingest_assets.fleet import DOWN
from ingest_assets.sources.base import Source
from ingest_assets.storage import accounts as storage
from ingest_assets.storage import overview

FEW = 20  # up to so many, each workspace has a run of its own
ALONE = 20  # failing workspaces that one look starts
BATCH_TAG = "ingest/batch"
LOOK_SECONDS = 10

OUTAGE = timedelta(minutes=15)  # a vendor is down while every sync within failed
PROBE = timedelta(minutes=1)  # how often it is tried meanwhile, by one workspace

LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def sync_job(source: Source) -> Any:
    """The job behind schedule, sensor and backfills of a source."""
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
        description=f"Sync all {source.title} workspaces.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Any:
        now = context.scheduled_execution_time
        with context.resources.database.engine().begin() as conn:
            storage.call_up(conn, source.name, now)
        return start_runs(context, source, job.name, now)

    return tick


def due_sensor(source: Source, job: Any) -> dg.SensorDefinition:
    """Start runs for accounts whose turn has come: after a tick, a failure's pause, or a time limit."""

    @dg.sensor(
        name=f"{source.name}_due",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"database", "limits"},
        description=f"Go on with the {source.title} workspaces that a tick called up; retry failed ones in time.",
    )
    def look(context: dg.SensorEvaluationContext) -> Any:
        return start_runs(context, source, job.name, datetime.now(UTC))

    return look


def start_runs(context: Any, source: Source, job_name: str, now: datetime) -> Any:
    """Give the run requests for who is due, or the reason why there are none."""
    core = context.resources.limits.core()
    live = under_way(context.instance, job_name, op_name(source))
    with context.resources.database.engine().connect() as conn:
        rows = [row for row in storage.due_workspaces(conn, source.name, now) if row.workspace_id not in live.busy]
        unshown = [key for key in storage.unshown_failures(conn, source.name, now) if key not in live.busy]
        down = overview.outage(conn, source.name, now - OUTAGE, DOWN)
    together = [row.workspace_id for row in rows if not row.alone]
    alone = list(dict.fromkeys([*unshown, *(row.workspace_id for row in rows if row.alone)]))
    why = f"No {source.title} workspace is due ({len(live.busy)} under way)."
    if down is not None and rows:
        why = f"{source.title} seems to be down; {len(rows)} workspaces wait, one tries each minute."
        context.log.warning(why)
        together, alone = [], [rows[0].workspace_id]
        if live.busy or down > now - PROBE:
            alone = []
    free = core.parallel_batches - len(live.batches)
    if len(together) > FEW and free <= 0:
        why = f"The batch run {live.batches[0]} is unfinished; {len(together)} workspaces wait for their turn."
        context.log.info(why)
        together = []
    if len(together) > FEW:
        together = together[: free * core.batch_workspaces]
    alone = alone[:ALONE]
    chosen = [*together, *alone]
    if not chosen:
        return dg.SkipReason(why)
    with context.resources.database.engine().begin() as conn:
        # a run says itself when each account is due again; one that cannot even begin is not started over and over
        storage.postpone(conn, source.name, chosen, now, now + timedelta(seconds=core.lease_seconds))
    register(context.instance, chosen)
    return list(requests(op_name(source), together, alone, f"{now:%Y-%m-%dT%H:%M:%S}", core.batch_workspaces))


@dataclass(frozen=True)
class UnderWay:
    """A job's live runs."""

    busy: set[str]
    """Workspaces that a run covers."""
    batches: Sequence[str]
    """Runs for many workspaces."""


def under_way(instance: dg.DagsterInstance, job_name: str, op: str) -> UnderWay:
    """Find a job's runs that are not finished."""
    busy, batches = set(), []
    for run in instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=LIVE)):
        config: Any = run.run_config
        if BATCH_TAG in run.tags:
            batches.append(run.run_id)
            busy.update(config["ops"][op]["config"]["workspaces"])
        elif "dagster/partition" in run.tags:
            busy.add(run.tags["dagster/partition"])
    return UnderWay(busy, batches)


def requests(
    op: str, together: Sequence[str], alone: Sequence[str], moment: str, batch: int
) -> Iterator[dg.RunRequest]:
    """Ask for batches where there are many, and for partition runs otherwise."""
    single = list(alone)
    if len(together) <= FEW:
        single += together
    else:
        for start in range(0, len(together), batch):
            keys = list(together[start : start + batch])
            yield dg.RunRequest(
                run_key=f"{moment}:{start}",
                run_config={"ops": {op: {"config": {"workspaces": keys}}}},
                tags={BATCH_TAG: str(len(keys)), "dagster/priority": "1"},  # before the failing ones
            )
    for workspace_id in dict.fromkeys(single):
        yield dg.RunRequest(run_key=f"{moment}:{workspace_id}", partition_key=workspace_id)
