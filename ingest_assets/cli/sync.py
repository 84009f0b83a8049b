"""Sync without Dagster."""

from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.accounts import no_account
from ingest_assets.cli.help import Choice
from ingest_assets.cli.history import choose_history
from ingest_assets.cli.progress import progress, under_way
from ingest_assets.cli.signals import INTERRUPTED, stopping
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.retention import tell_shortened
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.sync.result import SKIPPED, SUCCESS, SyncResult, report
from ingest_assets.terminal import echo, echo_json


@click.command()
@click.argument("source", type=Choice(list(BY_NAME)))
@click.option("--workspace", "workspaces", multiple=True, help="a workspace; may be repeated")
@click.option("--all", "everything", is_flag=True, help="all workspaces")
@click.option("--name", help="one account; default: all of the workspaces at this source")
@click.option(
    "--history-days",
    type=click.FloatRange(0, 10_000, min_open=True),
    help="read one account so far back, from now on",
)
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
@click.pass_context
def sync(
    ctx: click.Context,
    source: str,
    workspaces: tuple[str, ...],
    everything: bool,
    name: str | None,
    history_days: float | None,
    as_json: bool,
) -> None:
    """Sync once, without Dagster."""
    app: App = ctx.obj
    if everything == bool(workspaces):
        raise IngestError("Name the workspaces with --workspace, or pass --all.")
    known = _known(app, source, workspaces)
    choose_history(app, source, workspaces, name, history_days)
    results = []
    worker = app.worker(f"command-{uuid4()}")
    names, options = sorted(known) if everything else workspaces, app.options_of(BY_NAME[source])
    tell_shortened(BY_NAME[source], options, partial(echo, err=True))
    done: list[str] = []
    telling = progress(lambda: under_way(BY_NAME[source], worker, len(done), len(names)))
    with stopping(worker.stop), telling:
        for workspace_id, found in sync_workspaces(
            BY_NAME[source], names, options, worker, only=lambda row: name in (None, row.name)
        ):
            results += found
            done.append(workspace_id)
            if not as_json:
                for one in found:
                    echo(_line(workspace_id, one))
    summary = report(results)
    if as_json:
        echo_json(summary)
    else:
        echo(summary["status"])
    if worker.stop.requested:
        ctx.exit(INTERRUPTED)
    if any(result.by_process for result in results):
        ctx.exit(CANNOT)
    ctx.exit(0 if summary["status"] in {SUCCESS, SKIPPED} else 1)


def _known(app: App, source: str, workspaces: Sequence[str]) -> set[str]:
    """Return the workspaces with an account at a source. Raises IngestError for another one that is named."""
    with app.engine.connect() as conn:
        accounts = find_accounts(conn, source=source)
    known = {row.workspace_id for row in accounts}
    for workspace in workspaces:
        if workspace not in known:
            raise IngestError(no_account(source, workspace, None, accounts))
    return known


def _line(workspace_id: str, result: SyncResult) -> str:
    counts = result.counts
    return (
        f"{workspace_id} {result.account.name}: {result.status}, {counts.new} new, {counts.changed} changed, "
        f"{counts.deleted} deleted, {counts.rejected} rejected, {sum(result.calls.values())} API calls, "
        f"{result.seconds:.1f} s" + (f": {result.reason}" if result.reason else "")
    )
