"""`features/<kind>`: what the language model found in a workspace's conversations, with evidence.

A run of its own, started when there is something to read: Dagster skips a step whose upstream step materialised
no output, as ours do, which report workspace by workspace. So an ingestion never waits for a language model.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from ingest_assets.assets.failures import STEP_RETRIES, red_run
from ingest_assets.assets.feature_checks import evaluations
from ingest_assets.assets.partitions import told_apart, workspaces
from ingest_assets.assets.records import OWNERS, SyncConfig, asset_key, column_schema, partitions_of
from ingest_assets.assets.reporting import settle
from ingest_assets.features.featured import Featured
from ingest_assets.features.model import KINDS
from ingest_assets.features.prompt import version
from ingest_assets.features.report import FAILED, SKIPPED, Report
from ingest_assets.features.settings import ModelSettings
from ingest_assets.resources.ingestion import Database, Limits
from ingest_assets.resources.language_model import LanguageModelApi
from ingest_assets.terminal import printable

if TYPE_CHECKING:
    from ingest_assets.features.extract import Extractor

POOL = "language_model"


def features_key(kind: Featured) -> dg.AssetKey:
    return dg.AssetKey([str(kind.table.schema), kind.table.name])


def features_op(kind: Featured) -> str:
    return f"read_{kind.source.name}_{kind.noun}s"


def features_asset(kind: Featured, settings: ModelSettings) -> dg.AssetsDefinition:
    """Derive the asset from a kind of conversation. Another prompt, schema or model is another code version."""

    @dg.multi_asset(
        name=features_op(kind),
        specs=[_spec(kind, settings)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=STEP_RETRIES,
        pool=POOL,
    )
    def extract_features(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        language_model: LanguageModelApi,
        database: Database,
        limits: Limits,
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
        from ingest_assets.features.extract import Extractor  # with the openai library: a second of each process

        with red_run(database, context.log):
            extractor = Extractor(
                engine=database.engine(),
                settings=language_model.options(),
                owner=context.run.run_id,
                lease_length=timedelta(seconds=limits.core().lease_seconds),
            )
            yield from _extract(context, config, kind, extractor)

    return extract_features


def _extract(
    context: dg.AssetExecutionContext, config: SyncConfig, kind: Featured, extractor: "Extractor"
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    asked = config.workspaces or partitions_of(context)
    keys, unknown = told_apart(context, extractor.engine, asked, kind.source.name)
    failed: list[Report] = []
    for done, workspace_id in enumerate(keys, start=1):
        report = extractor.run(kind, workspace_id)
        if report.status == FAILED:
            failed.append(report)
            continue
        context.log.info(
            "%s %s (%d of %d): %s%s",
            features_key(kind).to_user_string(),
            workspace_id,
            done,
            len(keys),
            report.status,
            f", {printable(report.reason)}" if report.reason else "",
            extra=report.as_json(),
        )
        if report.status != SKIPPED:
            yield dg.AssetMaterialization(
                features_key(kind), partition=workspace_id, metadata=_metadata(kind, extractor, report)
            )
    for evaluation in evaluations(
        context.instance, extractor.engine, kind, features_key(kind), extractor.settings
    ):
        yield evaluation
        settle(context.instance, evaluation)
    sentences = [*unknown, *(f"{one.workspace_id}: {printable(one.reason)}" for one in failed)]
    if sentences:
        context.log.error("%s", " ".join(sentences))
        raise dg.Failure(f"Not every workspace's {kind.noun}s could be read.", allow_retries=False)


def _spec(kind: Featured, settings: ModelSettings) -> dg.AssetSpec:
    without_key = " Skipped while OPENAI_API_KEY is not set." if settings.api_key is None else ""
    return dg.AssetSpec(
        features_key(kind),
        deps=[asset_key(kind.source)],
        description=(
            f"Pains, objections, commitments and more from {kind.source.title} {kind.noun}s, each with a quote "
            f"that stands in the transcript. Table `{kind.table.fullname}`.{without_key}"
        ),
        group_name="features",
        kinds={"openai", "postgres"},
        owners=OWNERS,
        metadata={"dagster/table_name": kind.table.fullname, "dagster/column_schema": column_schema(kind.table)},
        partitions_def=workspaces,
        code_version=version(settings.model),
        skippable=True,
    )


def _metadata(kind: Featured, extractor: "Extractor", report: Report) -> dict[str, Any]:
    return {
        "status": report.status,
        **({"reason": report.reason} if report.reason else {}),
        f"{kind.noun}s_read": report.extracted,
        f"{kind.noun}s_unchanged": report.unchanged,
        f"{kind.noun}s_rejected": report.rejected,
        f"{kind.noun}s_unanswered": report.unanswered,
        f"{kind.noun}s_postponed": report.postponed,
        f"{kind.noun}s_remaining": report.remaining,
        f"{kind.noun}s_sent_as_batch": report.submitted,
        f"{kind.noun}s_waiting_for_batch": report.waiting,
        "items": report.kinds.total(),
        "items_dropped": report.dropped,
        "items_malformed": report.malformed,
        "requests": report.requests,
        "input_tokens": report.usage.input,
        "output_tokens": report.usage.output,
        "dollars": report.dollars,
        "model": extractor.settings.model,
        "answers_as": report.format or "",
        "left_out_of_requests": ", ".join(report.shed),
        "read_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
        "items_by_kind": dg.MetadataValue.md(
            "\n".join(
                ["| kind | items |", "|---|---|"]
                + [f"| {name} | {report.kinds[name]} |" for name in KINDS if report.kinds[name]]
            )
        ),
    }
