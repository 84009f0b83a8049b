"""Once a night: prune what only grows, and derive anew what an older version derived."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic

import dagster as dg

from ingest_assets.features.featured import FEATURE_TABLES
from ingest_assets.schedules.expiring import delete_old
from ingest_assets.sources import SOURCES
from ingest_assets.sources.redaction import redacting
from ingest_assets.storage import dagster_log, pruning
from ingest_assets.storage.leases import lease
from ingest_assets.sync.deriving import derive_anew
from ingest_assets.sync.erase import finish_erasures
from ingest_assets.sync.replay import replay_all

MAINTENANCE = "maintenance"
NIGHTLY = "30 3 * * *"
DERIVING = timedelta(hours=1)  # of one night, beside the syncs
REPLAYING = timedelta(minutes=15)  # the same
UNDER_WAY = timedelta(hours=1)  # an erasure that began later may not be over


@contextmanager
def alone(context: dg.OpExecutionContext) -> Iterator[None]:
    """Hold the lease of all maintenance: nothing is done twice at once, and a dead run is seen to be one.

    Raises dg.Failure while another run holds it.
    """
    length = timedelta(seconds=context.resources.limits.core().lease_seconds)
    engine = context.resources.database.engine()
    with lease(engine, MAINTENANCE, owner=context.run.run_id, length=length) as held:
        if not held.taken:
            until = f"{held.until.astimezone(UTC):%H:%M:%S} UTC"
            raise dg.Failure(
                f"Another run does the maintenance; if it was killed, its lease ends at {until}.",
                allow_retries=False,
            )
        yield


@dg.op(
    required_resource_keys={"database", "limits"},
    description="Delete run and event logs, sync history and model requests older than INGEST_KEEP_HISTORY_DAYS, "
    "versions of rows older than INGEST_KEEP_VERSIONS_DAYS, and the data of workspaces removed "
    "INGEST_KEEP_REMOVED_DAYS ago.",
)
def prune(context: dg.OpExecutionContext) -> None:
    """Delete old runs and events, but for what partitions and checks show, and for runs that are not finished."""
    with alone(context):
        _prune(context)


def _prune(context: dg.OpExecutionContext) -> None:
    core, engine, now = context.resources.limits.core(), context.resources.database.engine(), datetime.now(UTC)
    before = now - timedelta(days=core.keep_history_days)
    for table, count in pruning.prune_history(engine, before):
        context.log.info("%s: %d rows deleted", table, count)
    count = pruning.prune_versions(engine, now - timedelta(days=core.keep_versions_days))
    context.log.info("raw.versions: %d rows deleted", count)
    if core.keep_removed_days is not None:
        for workspace_id, count in pruning.delete_removed(engine, now - timedelta(days=core.keep_removed_days)):
            context.log.info("workspace %s: %d rows deleted", workspace_id, count)
    prune_dagster(context.instance, before, context.log.info)


@dg.op(
    required_resource_keys={"database", "limits", *(source.name for source in SOURCES)},
    description="Delete what is older than SLACK_KEEP_DAYS and so on say, or the account's own choice.",
)
def expire(context: dg.OpExecutionContext) -> None:
    """Delete old rows, a thousand a transaction."""
    with alone(context):
        options = {source.name: getattr(context.resources, source.name).options() for source in SOURCES}
        engine = context.resources.database.engine()
        delete_old(engine, lambda source: options[source.name], datetime.now(UTC), context.log.info)


@dg.op(
    required_resource_keys={"database", "limits"},
    description="Derive the columns of rows anew whose parser was improved since, from what is stored of them.",
)
def derive(context: dg.OpExecutionContext) -> None:
    """Derive rows of older parsers anew; what does not end in time goes on in the next night."""
    with alone(context), redacting(context.resources.limits.core().redactions):
        _derive(context)


def _derive(context: dg.OpExecutionContext) -> None:
    until = monotonic() + DERIVING.total_seconds()
    tables = derive_anew(context.resources.database.engine(), SOURCES, lambda: monotonic() < until)
    for derived in tables:
        context.log.info(
            "%s: %d rows derived anew, %d of them changed, %d could not be parsed",
            derived.table,
            derived.rows,
            derived.changed,
            derived.failed,
        )


@dg.op(
    required_resource_keys={"database", "limits", "credentials"},
    description="Finish erasures of people that were interrupted, and those of whom more ids became known.",
)
def erase(context: dg.OpExecutionContext) -> None:
    """Look through what is stored for people whose erasure is older than an hour and did not end."""
    with alone(context):
        engine, vault = context.resources.database.engine(), context.resources.credentials.vault()
        for one in finish_erasures(engine, vault, SOURCES, FEATURE_TABLES, datetime.now(UTC) - UNDER_WAY):
            context.log.info("workspace %s: %d rows of erased people", one.workspace_id, one.counts.total())


@dg.op(
    required_resource_keys={"database", "limits", "credentials"},
    description="Parse again what was set aside, without a request: a newer version may be able to.",
)
def replay(context: dg.OpExecutionContext) -> None:
    """Replay rejected items; accounts that are not reached in time have their turn in another night."""
    with alone(context), redacting(context.resources.limits.core().redactions):
        _replay(context)


def _replay(context: dg.OpExecutionContext) -> None:
    until, length = (
        monotonic() + REPLAYING.total_seconds(),
        timedelta(seconds=context.resources.limits.core().lease_seconds),
    )
    engine = context.resources.database.engine()
    vault = context.resources.credentials.vault()
    tried = replay_all(
        engine, SOURCES, lambda: monotonic() < until, owner=context.run.run_id, length=length, vault=vault
    )
    for one in tried:
        context.log.info(
            "%s, workspace %s: %d rejected items stored, %d remain",
            one.source,
            one.workspace_id,
            one.stored,
            len(one.reasons),
        )


def prune_dagster(instance: dg.DagsterInstance, before: datetime, tell: dagster_log.Tell) -> None:
    """Prune the instance's log in its PostgreSQL."""
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]  # of the PostgreSQL storage
        for table, count, runs in dagster_log.prune(conn, before.astimezone(UTC).replace(tzinfo=None)):
            tell("Dagster's %s: %d rows deleted", table, count)
            for run_id in runs:
                instance.compute_log_manager.delete_logs(prefix=[run_id])


@dg.job(
    executor_def=dg.in_process_executor,
    description="Prune logs and history, rederive rows, replay rejected items, delete old rows, finish erasures.",
)
def maintenance() -> None:
    prune()
    derive()
    replay()
    expire()
    erase()


@dg.schedule(
    job=maintenance,
    cron_schedule=NIGHTLY,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Start the job `maintenance` each night at 03:30 UTC.",
)
def nightly_maintenance(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the run."""
    return dg.RunRequest()
