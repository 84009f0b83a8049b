"""Have conversations read by the language model, and show what was found."""

from typing import TYPE_CHECKING
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.progress import progress
from ingest_assets.cli.signals import interruptible
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.features.featured import FEATURED, Featured
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.sync.result import SKIPPED, SUCCESS
from ingest_assets.terminal import echo, echo_json

if TYPE_CHECKING:
    from ingest_assets.features.extract import Extractor


@click.command()
@click.argument("source", type=click.Choice([kind.source.name for kind in FEATURED]))
@click.option("--workspace", "workspaces", multiple=True, required=True, help="a workspace; may be repeated")
@click.option("--json", "as_json", is_flag=True, help="print the reports as JSON")
@click.pass_context
def extract(ctx: click.Context, source: str, workspaces: tuple[str, ...], as_json: bool) -> None:
    """Have the language model read what is new, without Dagster."""
    app: App = ctx.obj
    [kind] = [kind for kind in FEATURED if kind.source.name == source]
    with app.engine.connect() as conn:
        if unknown := unknown_workspaces(conn, workspaces):
            raise unknown_workspace(conn, unknown[0], source)
    reports, extractor = [], app.extractor(f"command-{uuid4()}")
    for workspace_id in workspaces:
        with interruptible(), progress(lambda: _under_way(kind, extractor)):
            report = extractor.run(kind, workspace_id)
        reports.append(report)
        if not as_json:
            echo(
                f"{workspace_id}: {report.status}, {report.extracted} {kind.noun}s read, "
                f"{report.rejected} rejected, {report.remaining} remain, {report.kinds.total()} items, "
                f"{report.dropped} dropped, "
                f"{report.requests} requests, {report.usage.total} tokens"
                + (f": {report.reason}" if report.reason else "")
            )
    if as_json:
        echo_json([report.as_json() for report in reports])
    ctx.exit(0 if all(report.status in {SUCCESS, SKIPPED} for report in reports) else 1)


def _under_way(kind: Featured, extractor: "Extractor") -> str:
    if not extractor.reports:
        return f"{kind.source.title} ..."
    report = extractor.reports[-1]
    done = report.extracted + report.rejected + report.unchanged
    return f"{kind.source.title} {report.workspace_id}: {done:,} {kind.noun}s read, {report.remaining:,} remain"


@click.command()
@click.option("--workspace", required=True)
@click.option("--call", help="the id of one call or session; default: the newest that was read")
@click.option("--all", "every", is_flag=True, help="list all conversations instead")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def features(app: App, workspace: str, call: str | None, every: bool, as_json: bool) -> None:
    """Show what was found in a conversation, with quotes and times."""
    from ingest_assets.cli.feature_output import feature_entries, print_features
    from ingest_assets.cli.output import print_table

    entries = feature_entries(app, workspace)
    if every:
        columns = ["source", "id", "occurred_at", "title", "state", "found", "dropped", "reason"]
        listed = [{column: entry[column] for column in columns} for entry in entries]
        if as_json:
            echo_json(listed)
        else:
            print_table(columns, listed)
        return
    chosen = [entry for entry in entries if entry["id"] == call or (call is None and entry["summary"] is not None)]
    if not chosen:
        what = f"conversation {call!r}" if call else "conversation that was read"
        raise IngestError(
            f"Workspace {workspace!r} has no {what}; `ingest-assets features --workspace {workspace} --all` lists "
            "all, `ingest-assets extract` reads what is new."
        )
    if as_json:
        echo_json(chosen[0])
    else:
        print_features(chosen[0])
