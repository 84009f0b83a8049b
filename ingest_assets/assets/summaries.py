"""What checks say of all workspaces at once, and a partition of what was read of its workspace."""

from collections.abc import Collection, Sequence
from typing import Any

import dagster as dg
from sqlalchemy import Engine

from ingest_assets.assets.reporting import OTHERS
from ingest_assets.health import WORST, Health, table
from ingest_assets.storage.coverage import Completeness, completeness
from ingest_assets.terminal import markdown_cell, printable


def of_partition(engine: Engine, source: str, workspace_id: str) -> dict[str, Any]:
    """Return what a workspace's coverage came to, as metadata of its partition."""
    with engine.connect() as conn:
        read = completeness(conn, source, [workspace_id]).get(workspace_id)
    if read is None:
        return {}
    moments = {"covered_from": read.covered_from, "covered_to": read.covered_to}
    shown = {name: dg.MetadataValue.timestamp(moment) for name, moment in moments.items() if moment is not None}
    return {"complete": read.complete, **shown, "gaps": read.gaps, "missing": printable(read.words)}


def of_healths(name: str, healths: Sequence[Health], bad: Sequence[Health]) -> dg.AssetCheckResult:
    """Sum up a judgement of the workspaces' health."""
    return _result(name, len(healths), len(bad), table(bad) if bad else None)


def of_completeness(name: str, found: Collection[Completeness]) -> dg.AssetCheckResult:
    """Sum up what is missing, most gaps first."""
    bad = sorted((one for one in found if not one.complete), key=lambda one: (-one.gaps, one.workspace_id))
    lines = ["| workspace | missing |", "|---|---|"]
    lines += [f"| {one.workspace_id} | {markdown_cell(one.words)} |" for one in bad[:WORST]]
    if len(bad) > WORST:
        lines += ["", f"and {len(bad) - WORST} more."]
    return _result(name, len(found), len(bad), "\n".join(lines) if bad else None)


def _result(name: str, total: int, bad: int, others: str | None) -> dg.AssetCheckResult:
    shown = {} if others is None else {OTHERS: dg.MetadataValue.md(others)}
    return dg.AssetCheckResult(
        passed=not bad,
        description=f"{total - bad} of {total} workspaces are {name}.",
        metadata={name: total - bad, f"not_{name}": bad, **shown},
    )
