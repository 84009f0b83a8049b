"""`raw/<records>`: one asset per source, partitioned by workspace.

A partition run, a backfill over a range and a batch (keys in the run's config) are the same function.
A partition is materialized when at least one of its accounts was read; what is missing, its check `healthy` says.
A run fails for a workspace of which nothing can be read. A batch stays green: its failing workspaces are retried
in partition runs of their own, which turn red.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import dagster as dg
from pydantic import Field
from sqlalchemy import Table

from ingest_assets.assets.checks import Checks
from ingest_assets.assets.failures import STEP_RETRIES, as_failure, red_run
from ingest_assets.assets.history import HistoryConfig, want_histories
from ingest_assets.assets.metadata import materialized, table_uri
from ingest_assets.assets.partition_status import PartitionStatus
from ingest_assets.assets.partitions import told_apart, workspaces
from ingest_assets.assets.progress import Progress
from ingest_assets.assets.reporting import settle
from ingest_assets.resources.apis import Api, takes_api
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.resources.ingestion import Credentials, Database, Limits, worker
from ingest_assets.settings import CoreSettings, SourceOptions
from ingest_assets.sources.record import Record
from ingest_assets.sources.retention import tell_shortened
from ingest_assets.sources.source import Source
from ingest_assets.storage.process_reports import RUN, report_process
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.sync.result import SyncResult, report
from ingest_assets.sync.worker import Worker

RESERVATION_TAG = ".dagster/ingest_reservation"  # hidden: in the list of runs it would be noise
"""On a run that a schedule or a sensor asked for: what its accounts are reserved with."""
OWNERS = ["team:data-platform"]
CHECKED_TOGETHER = 100
"""Workspaces that a batch materializes before it reports their checks: until then pages show none of them."""
Event = dg.AssetMaterialization | dg.AssetCheckEvaluation
BATCH_MINUTES = 2.0
"""Who needs longer in a batch goes on in a run of its own: a large tenant does not hold the others up."""


class SyncConfig(HistoryConfig):
    """A batch: the workspaces to sync in a run without a partition; and how far back its accounts are read."""

    workspaces: list[str] = Field(default=[])


def asset_key(source: Source) -> dg.AssetKey:
    return _key(source.main.table)


def asset_keys(source: Source) -> list[dg.AssetKey]:
    """Return all assets that a sync of the source fills."""
    return [_key(record.table) for record in source.assets]


def _key(table: Table) -> dg.AssetKey:
    return dg.AssetKey([str(table.schema), table.name])


def api_key(source: Source) -> dg.AssetKey:
    return dg.AssetKey(["vendors", f"{source.name}_api"])


def op_name(source: Source) -> str:
    return f"sync_{source.name}"


def records_asset(source: Source, core: CoreSettings) -> dg.AssetsDefinition:
    """Derive the asset from a source."""

    @dg.multi_asset(
        name=op_name(source),
        specs=[_spec(source, record, core) for record in source.assets],
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=STEP_RETRIES,
    )
    @takes_api(source)
    def sync_records(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        api: Api,
        database: Database,
        credentials: Credentials,
        limits: Limits,
    ) -> Iterator[Event]:
        with red_run(database, context.log):
            one, options = worker(database, credentials, limits, owner=context.run.run_id), api.options()
            report_process(one.engine, RUN, credentials.encryption_keys, os.environ)
            tell_shortened(source, options, context.log.warning)
            yield from _sync_workspaces(context, config, source, one, options)

    return sync_records


def _sync_workspaces(
    context: dg.AssetExecutionContext, config: SyncConfig, source: Source, one: Worker, options: SourceOptions
) -> Iterator[Event]:
    keys, unknown = told_apart(context, one.engine, config.workspaces or partitions_of(context), source.name)
    keep_connections(context.instance)
    want_histories(context.log, source, options, one, keys, config)
    one, batch = replace(one, reservation=_reservation(context.run)), bool(config.workspaces)
    if batch:
        minutes = {"sync_minutes": min(BATCH_MINUTES, one.core.sync_minutes)}
        one = replace(one, core=one.core.model_copy(update=minutes))
    partition_status = PartitionStatus(one, source, keys, batch=batch)
    checks = Checks(instance=context.instance, source=source, engine=one.engine, core=one.core)
    failed: dict[str, list[SyncResult]] = {}
    checked: set[str] = set()
    unchecked: list[str] = []
    progress = Progress(context.log, source, len(keys))
    for workspace_id, results in sync_workspaces(source, keys, options, one):
        summary = report(results)
        if partition_status.fails(workspace_id, results):
            failed[workspace_id] = results
        progress.workspace(workspace_id, results, summary, told_later=workspace_id in failed)
        if summary["successful_accounts"]:
            if partition_status.needs_event(workspace_id, summary):
                partition_status.succeed(workspace_id)
                metadata = materialized(source, one.engine, workspace_id, results)
                for record in source.assets:
                    yield dg.AssetMaterialization(
                        _key(record.table), partition=workspace_id, metadata=metadata(record.table)
                    )
                unchecked.append(workspace_id)
        elif workspace_id not in failed:
            partition_status.unchanged(workspace_id)
        if len(unchecked) >= CHECKED_TOGETHER:
            yield from _report(checks, one, unchecked, unchecked)
            checked.update(unchecked)
            unchecked.clear()
    progress.end()
    yield from _report(checks, one, keys, unchecked if batch else [key for key in keys if key not in checked])
    if failed or unknown:
        raise as_failure(context.log, source, failed, unknown)


def _report(checks: Checks, one: Worker, keys: Sequence[str], always: Sequence[str]) -> Iterator[Event]:
    """Yield what the checks of a run's workspaces say, and let pages show the checks as they are."""
    now, news = one.clock.now(), False
    for evaluation in checks.of_workspaces(now, keys=keys, always=always):
        news = True
        yield evaluation
    if news:
        fresh = checks.of_all(now)
        yield fresh
        settle(checks.instance, fresh)
        checks.settle_workspaces()


def _reservation(run: dg.DagsterRun) -> str | None:
    """Return what a run's accounts are reserved with; None where a person asks, who wants everything read now."""
    return None if run.parent_run_id is not None else run.tags.get(RESERVATION_TAG)


def _spec(source: Source, record: type[Record], core: CoreSettings) -> dg.AssetSpec:
    table = record.table
    return dg.AssetSpec(
        _key(table),
        deps=[api_key(source)],
        description=f"{source.description} {described(record)}",
        group_name=source.name,
        kinds={source.name, "postgres"},
        owners=OWNERS,
        tags={"source": source.name},
        metadata={
            "dagster/table_name": table.fullname,
            "dagster/column_schema": column_schema(table),
            "dagster/storage_kind": "postgresql",
            **table_uri(table, core.database_url),
        },
        partitions_def=workspaces,
        skippable=True,
    )


def described(record: type[Record]) -> str:
    """Return what a row of a record's table is."""
    return f"A row of `{record.table.fullname}`: {inspect.getdoc(record)}"


def partitions_of(context: dg.AssetExecutionContext) -> Sequence[str]:
    """Return the workspaces of a run with partitions. Raises dg.Failure for a run without."""
    if not context.has_partition_key and not context.has_partition_key_range:
        raise dg.Failure(
            "This run names no workspace; choose partitions, or list them in the config.", allow_retries=False
        )
    keys: Sequence[str] = context.partition_keys
    return keys


def column_schema(table: Table) -> dg.TableSchema:
    """Show a table's columns."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                str(column.type).lower(),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in table.columns
        ]
    )
