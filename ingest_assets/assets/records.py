"""`raw/<records>`: one asset per source, partitioned by workspace.

A partition run, a backfill over a range and a batch (keys in the run's config) are the same function.
A batch stays green: its failing workspaces are retried in partition runs of their own, which turn red.
"""

import inspect
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field
from sqlalchemy import Table

from ingest_assets.assets.checks import report_health
from ingest_assets.assets.failures import STEP_RETRIES, as_failure, red_run
from ingest_assets.assets.partitions import told_apart, workspaces
from ingest_assets.assets.progress import Progress
from ingest_assets.assets.squares import Squares
from ingest_assets.fleet import sync_workspaces
from ingest_assets.resources.apis import Api, takes_api
from ingest_assets.resources.dagster_storage import keep_connections
from ingest_assets.resources.ingestion import Credentials, Database, Limits, worker
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.record import Record
from ingest_assets.sources.source import Source
from ingest_assets.storage.writes import Counts
from ingest_assets.sync import Worker
from ingest_assets.terminal import printable
from ingest_assets.verdict import FAILED, SKIPPED, Verdict, report

RESERVATION_TAG = ".dagster/ingest_reservation"  # hidden: in the list of runs it would be noise
"""On a run that a schedule or a sensor asked for: what its accounts are reserved with."""
OWNERS = ["team:data-platform"]
PREVIEW_LINES = 50
BATCH_MINUTES = 2.0
"""Who needs longer in a batch goes on in a run of its own: a large tenant does not hold the others up."""


class SyncConfig(dg.Config):
    """A batch: the workspaces to sync in a run without a partition."""

    workspaces: list[str] = Field(default=[])


def asset_key(source: Source) -> dg.AssetKey:
    return _key(source.main.table)


def asset_keys(source: Source) -> list[dg.AssetKey]:
    """Name all assets that a sync of the source fills."""
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
    ) -> Iterator[dg.AssetMaterialization]:
        with red_run(database):
            one = worker(database, credentials, limits, owner=context.run.run_id)
            yield from _sync_workspaces(context, config, source, one, api.options())

    return sync_records


def _sync_workspaces(
    context: dg.AssetExecutionContext, config: SyncConfig, source: Source, one: Worker, options: Any
) -> Iterator[dg.AssetMaterialization]:
    keys, unknown = told_apart(context, one.engine, config.workspaces or partitions_of(context), source.name)
    keep_connections(context.instance)
    one = replace(one, reservation=_reservation(context.run))
    if config.workspaces:
        minutes = min(BATCH_MINUTES, one.core.sync_minutes)
        one = replace(one, core=one.core.model_copy(update={"sync_minutes": minutes}))
    squares = Squares(one, source, keys, batch=bool(config.workspaces))
    failed: dict[str, list[Verdict]] = {}
    progress = Progress(context.log, source, len(keys))
    for workspace_id, verdicts in sync_workspaces(source, keys, options, one):
        summary = report(verdicts)
        progress.workspace(workspace_id, verdicts, summary)
        if any(verdict.status == FAILED for verdict in verdicts):
            failed[workspace_id] = verdicts
        elif summary["status"] == SKIPPED:
            squares.untouched(workspace_id)
        elif squares.worth_turning(workspace_id, summary):
            for key in asset_keys(source):
                yield dg.AssetMaterialization(key, partition=workspace_id, metadata=_metadata(verdicts))
            squares.green(workspace_id)
    progress.end()
    report_health(
        context.instance,
        source,
        one.engine,
        one.core,
        one.clock.now(),
        workspace_ids=keys,
        run_id=context.run.run_id,
    )
    if config.workspaces:  # each gets a run of its own, which turns red; of a fault of ours nothing is noted
        failed = {key: found for key, found in failed.items() if any(one.by_process for one in found)}
    if failed or unknown:
        raise as_failure(source, failed, unknown)


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
        metadata={"dagster/table_name": table.fullname, "dagster/column_schema": column_schema(table)},
        partitions_def=workspaces,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=core.freshness_minutes)),
        skippable=True,
    )


def described(record: type[Record]) -> str:
    """Return what a row of a record's table is."""
    return f"A row of `{record.table.fullname}`: {inspect.getdoc(record)}"


def partitions_of(context: dg.AssetExecutionContext) -> Sequence[str]:
    """Name the workspaces of a run with partitions. Raises dg.Failure for a run without."""
    if not context.has_partition_key and not context.has_partition_key_range:
        raise dg.Failure(
            "This run names no workspace; choose partitions, or list them in the config.", allow_retries=False
        )
    keys: Sequence[str] = context.partition_keys
    return keys


def _metadata(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    summary = report(verdicts)
    calls: Counter[str] = Counter()
    for verdict in verdicts:
        calls.update(verdict.calls)
    return {
        "rows_new": summary["new"],
        "rows_changed": summary["changed"],
        "rows_deleted": summary["deleted"],
        "rows_rejected": summary["rejected"],
        "api_calls": summary["api_calls"],
        "api_calls_by_method": dg.MetadataValue.json(dict(sorted(calls.items()))),
        "seconds": round(sum(verdict.seconds for verdict in verdicts), 3),
        "successful_accounts": summary["successful_accounts"],
        "failed_accounts": summary["failed_accounts"],
        "read_from": min((one["read_from"] for one in summary["accounts"] if one["read_from"]), default=None),
        "read_to": max((one["read_to"] for one in summary["accounts"] if one["read_to"]), default=None),
        "report": dg.MetadataValue.json(summary),
        "preview": dg.MetadataValue.md(_preview(verdicts)),
    }


def _preview(verdicts: Sequence[Verdict]) -> str:
    """Count by channel; never a text."""
    totals: defaultdict[str, Counts] = defaultdict(Counts)
    for verdict in verdicts:
        for label, counts in verdict.labels.items():
            totals[label] += counts
    lines = ["| | new | changed | deleted | rejected |", "|---|---|---|---|---|"]
    busiest = sorted(totals.items(), key=lambda item: (-item[1].seen, item[0]))
    lines += [
        f"| {printable(label).replace('|', ' ')} | {c.new} | {c.changed} | {c.deleted} | {c.rejected} |"
        for label, c in busiest[:PREVIEW_LINES]
    ]
    return "\n".join(
        [*lines, f"| and {len(busiest) - PREVIEW_LINES} more | | | | |"] if len(busiest) > PREVIEW_LINES else lines
    )


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
