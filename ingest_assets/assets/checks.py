"""Per-workspace health as asset checks: all workspaces by one statement, reported where the verdict changed.

Declared apart from the asset and reported without a run, so that a batch need not plan a check a workspace
(and an asset-wide freshness policy would stay green as long as any one workspace is fresh).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Engine, Row

from ingest_assets.assets.partitions import workspaces
from ingest_assets.assets.reporting import report_check
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.base import Source
from ingest_assets.storage import overview

Judgement = tuple[bool, str]


def _fresh(row: Row[Any], core: CoreSettings) -> Judgement:
    if row.fresh:
        return True, f"synced within {core.freshness_minutes} minutes"
    since = "never" if row.last_success_at is None else f"last at {row.last_success_at:%Y-%m-%d %H:%M} UTC"
    return False, f"no complete sync within {core.freshness_minutes} minutes ({since})" + (
        f": {row.reason}" if row.reason else ""
    )


def _few_rejected(row: Row[Any], core: CoreSettings) -> Judgement:
    share = row.rejected / max(1, row.rejected + row.written)
    return share <= core.rejected_share, (
        f"{row.rejected} items could not be parsed, {row.written} were written; at most {core.rejected_share:.0%}"
        " may be rejected"
    )


CHECKS: dict[str, tuple[Callable[[Row[Any], CoreSettings], Judgement], str]] = {
    "fresh": (_fresh, "Every account of the workspace had a complete sync within INGEST_FRESHNESS_MINUTES."),
    "few_rejected": (_few_rejected, "The share of items that could not be parsed is under INGEST_REJECTED_SHARE."),
}


def source_checks(source: Source, asset: dg.AssetKey) -> list[dg.AssetChecksDefinition]:
    """Declare the checks of a source's asset; run from the web UI, they judge the partitions chosen there."""
    return [_declare(source, asset, name) for name in CHECKS]


def _declare(source: Source, asset: dg.AssetKey, name: str) -> dg.AssetChecksDefinition:
    judge, description = CHECKS[name]

    @dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        partitions_def=workspaces,
        required_resource_keys={"database", "limits"},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        core = context.resources.limits.core()
        rows = _health(source, context.resources.database.engine(), core, datetime.now(UTC))
        wanted = context.partition_key
        row = next((row for row in rows if row.workspace_id == wanted), None)
        if row is None:
            return dg.AssetCheckResult(passed=True, metadata={"reason": f"{wanted} has no {source.title} account"})
        passed, reason = judge(row, core)
        return dg.AssetCheckResult(passed=passed, metadata={"reason": reason})

    return check


def report_health(
    instance: dg.DagsterInstance,
    source: Source,
    engine: Engine,
    core: CoreSettings,
    now: datetime,
    *,
    run_id: str | None = None,
) -> int:
    """Report every workspace whose verdict changed since it was last reported; return how many reports."""
    table = source.main.table
    asset = dg.AssetKey([str(table.schema), table.name])
    with engine.begin() as conn:
        known = overview.reported(conn, source.name)
        changed = [
            (row.workspace_id, name, *judge(row, core))
            for row in overview.health(conn, source.name, now, timedelta(minutes=core.freshness_minutes))
            for name, (judge, _) in CHECKS.items()
            if known.get((row.workspace_id, name)) != judge(row, core)
        ]
        overview.save_reported(conn, source.name, changed)
        for workspace_id, name, passed, reason in changed:
            evaluation = dg.AssetCheckEvaluation(
                asset_key=asset,
                check_name=name,
                passed=passed,
                partition=workspace_id,
                metadata={"reason": reason},
            )
            report_check(instance, evaluation, run_id=run_id)
    return len(changed)


def _health(source: Source, engine: Engine, core: CoreSettings, now: datetime) -> Any:
    with engine.connect() as conn:
        return overview.health(conn, source.name, now, timedelta(minutes=core.freshness_minutes))
