"""Healthy workspaces travel together; a failing one travels alone.

A Dagster run costs about 4 CPU-seconds before any work. So a few due workspaces get a partition run each, many
share batches, and one that failed is retried in a partition run of its own, with its own log and its own
red square.

The schedule says when: its tick calls up every account that waits for it. The sensor says how fast: each look
starts at most so many batches as may be under way, longest waiting first, so that all are not read at once
and whoever was left over is first at the next look. Only the sensor starts runs, one look after the other, so
nobody is asked for twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ingest_assets.assets.partitions import register
from ingest_assets.assets.records import TURN_TAG, asset_keys, op_name
from ingest_assets.fleet import DOWN
from ingest_assets.sources.source import Source
from ingest_assets.storage import accounts as storage
from ingest_assets.storage import overview

FEW = 20  # up to so many, each workspace has a run of its own
ALONE = 20  # runs for one workspace that may be under way before another failing one is tried
BATCH_TAG = "ingest/batch"
LOOK_SECONDS = 10

OUTAGE = timedelta(hours=1)  # what is older says nothing about whether a vendor is down
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
        required_resource_keys={"database"},
        description=f"Call up all {source.title} workspaces; {source.name}_due starts their runs.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Any:
        with context.resources.database.engine().begin() as conn:
            count = storage.call_up(conn, source.name, context.scheduled_execution_time)
        told = f"{count} {source.title} accounts were called up; {source.name}_due starts their runs."
        if batches := under_way(context.instance, job.name, op_name(source)).batches:
            told += f" They wait: the batch run {batches[0]} is unfinished."
        return dg.SkipReason(told)

    return tick


def due_sensor(source: Source, job: Any) -> dg.SensorDefinition:
    """Start runs for accounts whose turn has come: after a tick, a failure's pause, or a time limit."""

    @dg.sensor(
        name=f"{source.name}_due",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"database", "limits"},
        description=f"Start runs for the {source.title} workspaces that were called up; retry who failed.",
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
        down = overview.outage(conn, source.name, now - OUTAGE, DOWN) if rows else None
    together = [row.workspace_id for row in rows if not row.alone]
    alone = list(dict.fromkeys([*unshown, *(row.workspace_id for row in rows if row.alone)]))
    why = f"No {source.title} workspace is due ({len(live.busy)} under way)."
    if down is not None and rows:
        why = f"{source.title} seems to be down; {len(rows)} workspaces wait, one tries each minute."
        context.log.warning(why)
        with context.resources.database.engine().begin() as conn:
            storage.explain(conn, source.name, now, f"{source.title} seems to be down")
        tries = live.batches or live.alone or down > now - PROBE
        probe = next((row for row in rows if not row.alone), rows[0])  # rather one that has no trouble of its own
        together, alone = [], [] if tries else [probe.workspace_id]
    free = core.parallel_batches - len(live.batches)
    if len(together) > FEW and free <= 0:
        why = f"The batch run {live.batches[0]} is unfinished; {len(together)} workspaces wait for their turn."
        context.log.info(why)
        together = []
    if len(together) > FEW:
        together = together[: free * core.batch_workspaces]
    if alone and live.alone >= ALONE:
        why = f"{live.alone} runs for one workspace are under way; {len(alone)} failing ones wait for a turn."
    alone = alone[: max(0, ALONE - live.alone)]
    chosen = [*together, *alone]
    if not chosen:
        return dg.SkipReason(why)
    turn = now + timedelta(seconds=core.lease_seconds)
    with context.resources.database.engine().begin() as conn:
        # a run says itself when each account is due again; one that cannot even begin is not started over and over
        storage.postpone(conn, source.name, chosen, now, turn)
    register(context.instance, chosen)
    tags = {TURN_TAG: turn.isoformat()}
    return list(
        requests(op_name(source), together, alone, f"{now:%Y-%m-%dT%H:%M:%S}", core.batch_workspaces, tags)
    )


@dataclass(frozen=True)
class UnderWay:
    """A job's live runs."""

    busy: set[str]
    """Workspaces that a run covers."""
    batches: Sequence[str]
    """Runs for many workspaces."""
    alone: int
    """Runs for one workspace that the sensor started."""


def under_way(instance: dg.DagsterInstance, job_name: str, op: str) -> UnderWay:
    """Find a job's runs that are not finished."""
    busy, batches, alone = set(), [], 0
    for run in instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=LIVE)):
        config: Any = run.run_config
        if BATCH_TAG in run.tags:
            batches.append(run.run_id)
            busy.update(config["ops"][op]["config"]["workspaces"])
        elif "dagster/partition" in run.tags:
            busy.add(run.tags["dagster/partition"])
            alone += TURN_TAG in run.tags
    return UnderWay(busy, batches, alone)


def requests(
    op: str, together: Sequence[str], alone: Sequence[str], moment: str, batch: int, tags: Mapping[str, str]
) -> Iterator[dg.RunRequest]:
    """Ask for batches where many travel together, and for partition runs otherwise; who fails comes last."""
    first = {**tags, "dagster/priority": "1"}
    if len(together) > FEW:
        for start in range(0, len(together), batch):
            keys = list(together[start : start + batch])
            yield dg.RunRequest(
                run_key=f"{moment}:{start}",
                run_config={"ops": {op: {"config": {"workspaces": keys}}}},
                tags={**first, BATCH_TAG: str(len(keys))},
            )
        together = ()
    single = dict.fromkeys(alone, tags) | dict.fromkeys(together, first)
    for workspace_id, its in single.items():
        yield dg.RunRequest(run_key=f"{moment}:{workspace_id}", partition_key=workspace_id, tags=its)
