"""Per-workspace health as asset checks: all workspaces by one statement, reported where the verdict changed.

Declared apart from the asset and reported without a run, so that a batch need not plan a check a workspace
(and an asset-wide freshness policy would stay green as long as any one workspace is fresh).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import dagster as dg
from sqlalchemy import Engine

from ingest_assets.assets.partitions import workspaces
from ingest_assets.assets.reporting import report_check
from ingest_assets.health import Health, find
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.source import Source
from ingest_assets.storage import overview

Judgement = tuple[bool, str]
NOT_READ: Judgement = True, "there is no account to be read, or it is paused"


def _fresh(one: Health, _core: CoreSettings) -> Judgement:
    return one.fresh, one.reason


def _few_rejected(one: Health, core: CoreSettings) -> Judgement:
    share = one.rejected / max(1, one.rejected + one.stored)
    allowed = f"at most {core.rejected_share:.0%} may be rejected"
    return share <= core.rejected_share, f"{one.rejected} items could not be parsed; {allowed}"


CHECKS: dict[str, tuple[Callable[[Health, CoreSettings], Judgement], str]] = {
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
        core, wanted = context.resources.limits.core(), context.partition_key
        with context.resources.database.engine().connect() as conn:
            rows = find(conn, core, datetime.now(UTC), source=source.name, workspace_ids=[wanted])
        passed, reason = judge(rows[0], core) if rows else NOT_READ
        return dg.AssetCheckResult(passed=passed, metadata={"reason": reason})

    return check


def report_health(
    instance: dg.DagsterInstance,
    source: Source,
    engine: Engine,
    core: CoreSettings,
    now: datetime,
    *,
    workspace_ids: Sequence[str] | None = None,
    run_id: str | None = None,
    limit: int | None = None,
) -> int:
    """Report every workspace whose verdict changed since it was last reported; return how many reports."""
    table = source.main.table
    asset = dg.AssetKey([str(table.schema), table.name])
    with engine.begin() as conn:
        known = overview.reported(conn, source.name, workspace_ids)
        judged = {
            (one.workspace_id, name): judge(one, core)
            for one in find(conn, core, now, source=source.name, workspace_ids=workspace_ids)
            for name, (judge, _) in CHECKS.items()
        }
        verdicts = dict.fromkeys(known, NOT_READ) | judged
        changed = [(*key, *verdict) for key, verdict in verdicts.items() if known.get(key) != verdict][:limit]
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
