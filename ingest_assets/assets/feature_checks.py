"""Two checks of a features asset, each of all workspaces: whether all is read in time, and whether it is proven.

Dagster's own run of a check after its asset's step is skipped, as that of `checks.py` is: the step reports them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Connection, Engine

from ingest_assets.assets.reporting import OTHERS, target
from ingest_assets.features.featured import Featured
from ingest_assets.features.report import NO_KEY
from ingest_assets.features.settings import ModelSettings
from ingest_assets.storage.features import unread_conversations, without_evidence

DAY = timedelta(days=1)
LISTED = 20  # workspaces
Found = tuple[str, list[tuple[str, str]]]
"""The sentence, and (workspace, why) of those that fail."""


def _read(conn: Connection, kind: Featured, settings: ModelSettings, now: datetime) -> Found:
    if settings.api_key is None:
        return NO_KEY, []
    before = now - timedelta(hours=settings.unread_hours)
    rows = unread_conversations(conn, kind.records, kind.table, before)
    total = sum(row.conversations for row in rows)
    told = [
        (row.workspace_id, f"{row.conversations} {kind.noun}s, since {row.since:%Y-%m-%d %H:%M} UTC")
        for row in rows
    ]
    return f"{kind.noun.title()}s unread for more than {settings.unread_hours:g} hours: {total}.", told


def _few_dropped(conn: Connection, kind: Featured, settings: ModelSettings, now: datetime) -> Found:
    rows = without_evidence(conn, kind.table, now - DAY, settings.dropped_share)
    share = f"{settings.dropped_share:.0%}"
    sentence = f"Workspaces with more than {share} of a day's items without evidence: {len(rows)}."
    return sentence, [(row.workspace_id, f"{row.dropped} of {row.dropped + row.kept} items") for row in rows]


CHECKS: Mapping[str, tuple[Callable[[Connection, Featured, ModelSettings, datetime], Found], str]] = {
    "read": (_read, "No transcript has been there for longer than INGEST_LLM_UNREAD_HOURS without being read."),
    "few_dropped": (
        _few_dropped,
        "Of the items that the model found within a day, at most INGEST_LLM_DROPPED_SHARE of each workspace's "
        "were dropped because their quote does not stand in the transcript.",
    ),
}


def evaluations(
    instance: dg.DagsterInstance, engine: Engine, kind: Featured, asset: dg.AssetKey, settings: ModelSettings
) -> Sequence[dg.AssetCheckEvaluation]:
    """Judge all workspaces."""
    about = target(instance, asset)
    return [
        dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=name,
            passed=result.passed,
            description=result.description,
            metadata=result.metadata,
            target_materialization_data=about,
        )
        for name in CHECKS
        for result in [_result(engine, kind, settings, name)]
    ]


def _result(engine: Engine, kind: Featured, settings: ModelSettings, name: str) -> dg.AssetCheckResult:
    judge, _ = CHECKS[name]
    with engine.connect() as conn:
        sentence, others = judge(conn, kind, settings, datetime.now(UTC))
    metadata: dict[str, Any] = {"workspaces": len(others)}
    if others:
        lines = [f"| {workspace_id} | {why} |" for workspace_id, why in others[:LISTED]]
        left = [f"| and {len(others) - LISTED} more | |"] if len(others) > LISTED else []
        metadata[OTHERS] = dg.MetadataValue.md("\n".join(["| workspace | |", "|---|---|", *lines, *left]))
    return dg.AssetCheckResult(passed=not others, description=sentence, metadata=metadata)


def feature_checks(kind: Featured, asset: dg.AssetKey) -> list[dg.AssetChecksDefinition]:
    """Declare the checks of a features asset."""
    return [_declare(kind, asset, name) for name in CHECKS]


def _declare(kind: Featured, asset: dg.AssetKey, name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name=name,
        description=CHECKS[name][1],
        required_resource_keys={"database", "language_model"},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        resources = context.resources
        return _result(resources.database.engine(), kind, resources.language_model.options(), name)

    return check
