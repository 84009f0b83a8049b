"""Conversations with a transcript that the language model has not read: look twice a minute, and start runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ingest_assets.assets.features import features_key, features_op
from ingest_assets.assets.partitions import register
from ingest_assets.dispatch import FEW, Asked, batches, numbered
from ingest_assets.features.featured import Featured
from ingest_assets.features.prompt import version
from ingest_assets.features.report import NO_KEY
from ingest_assets.features.settings import ModelSettings
from ingest_assets.schedules.due import live_runs, requested
from ingest_assets.storage.features import due_workspaces, forget_gone
from ingest_assets.storage.model_requests import live_batches, told_to_wait
from ingest_assets.storage.workspaces import features_paused

LOOK_SECONDS = 30


def features_job_name(kind: Featured) -> str:
    return f"{kind.source.name}_features"


def features_job(kind: Featured) -> Any:
    """Make the job behind sensor and backfills."""
    return dg.define_asset_job(
        features_job_name(kind),
        selection=dg.AssetSelection.assets(features_key(kind)).without_checks(),
        executor_def=dg.in_process_executor,
        description=f"Read the {kind.source.title} {kind.noun}s of the chosen workspaces.",
    )


def features_sensor(kind: Featured, job: Any) -> dg.SensorDefinition:
    """Read what is new, changed, or was read by an older prompt or model; wait where a budget is spent."""

    @dg.sensor(
        name=f"{kind.source.name}_features",
        job=job,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"database", "language_model", "limits"},
        description=f"Read {kind.source.title} {kind.noun}s that have a transcript and no features.",
    )
    def look(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        settings = context.resources.language_model.options()
        if settings.api_key is None:
            with context.resources.database.engine().begin() as conn:  # what was deleted goes all the same
                forget_gone(conn, kind.records, kind.table)
            return dg.SkipReason(NO_KEY)
        now = datetime.now(UTC)
        with context.resources.database.engine().connect() as conn:
            name = kind.source.name
            due = due_workspaces(conn, kind.records, kind.table, version(settings.model), now, name)
            live = live_batches(conn, name)
            told = told_to_wait(conn, now) | features_paused(conn).keys()
        asked_about = [one.batch_id for one in live if one.batch_id and one.workspace_id not in told]
        over = {None, *_ended(settings, asked_about)}
        ready = {row.workspace_id for row in live if row.batch_id in over} - told
        due = sorted({*due, *ready})
        register(context.instance, due)
        op = features_op(kind)
        runs = live_runs(context.instance, job.name, op)
        if runs.batches:
            return dg.SkipReason(f"The run {runs.batches[0]} for many workspaces is unfinished.")
        waiting = [workspace_id for workspace_id in due if workspace_id not in runs.busy]
        size = context.resources.limits.core().batch_workspaces
        asked = batches(waiting, size) if len(waiting) > FEW else [Asked([key]) for key in waiting]
        if not asked:
            return dg.SkipReason(f"Nothing is to be read ({len(due)} workspaces due, {len(runs.busy)} under way).")
        return [requested(op, run) for run in numbered(asked, f"{now:%Y-%m-%dT%H:%M:%S}")]

    return look


def _ended(settings: ModelSettings, batch_ids: Sequence[str]) -> set[str]:
    if not batch_ids:
        return set()
    from ingest_assets.features.batches import ended  # with the openai library: a second of each process

    return ended(settings, batch_ids)
