"""`ingest-assets rejected`: what was set aside since it could not be parsed or stored."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.help import Choice
from ingest_assets.cli.progress import progress
from ingest_assets.cli.signals import interruptible
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.redaction import redacting
from ingest_assets.storage.rejected import discard_rejected, find_rejected, load_rejected
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.sync.replay import Replayed, replay_all
from ingest_assets.terminal import echo, echo_json

SHOWN = 100  # items of a list for people
COLUMNS = ["workspace", "source", "account", "table", "item", "since", "reason"]


@click.group()
def rejected() -> None:
    """List, show, replay or discard what could not be parsed or stored."""


@rejected.command("list")
@click.option("--workspace", help="one workspace; default: all")
@click.option("--source", type=Choice(list(BY_NAME)))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def list_items(app: App, workspace: str | None, source: str | None, as_json: bool) -> None:
    """List rejected items, oldest first, without what they say."""
    from ingest_assets.cli.output import print_table

    entries = [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.account,
            "table": row.table_name,
            "item": row.item_key,
            "since": row.first_seen_at.isoformat(timespec="seconds"),
            "last_seen": row.last_seen_at.isoformat(timespec="seconds"),
            "reason": row.error,
        }
        for row in _found(app, workspace, source)
    ]
    if as_json:
        echo_json(entries)
        return
    print_table(COLUMNS, entries[:SHOWN])
    if len(entries) > SHOWN:
        echo(f"and {len(entries) - SHOWN} more; --json lists them all")


@rejected.command()
@click.argument("item")
@click.option("--workspace", required=True)
@click.option("--source", type=Choice(list(BY_NAME)))
@click.pass_obj
def show(app: App, item: str, workspace: str, source: str | None) -> None:
    """Print a rejected item as the vendor sent it, with what it says, as JSON."""
    rows = _found(app, workspace, source, [item])
    with app.engine.connect() as conn:
        echo_json([{"table": row.table_name, "item": row.payload} for row in load_rejected(conn, rows)])


@rejected.command()
@click.argument("items", metavar="[ITEM]...", nargs=-1)
@click.option("--workspace", help="one workspace")
@click.option("--all", "everything", is_flag=True, help="all workspaces")
@click.option("--source", type=Choice(list(BY_NAME)))
@click.pass_context
def replay(
    ctx: click.Context, items: tuple[str, ...], workspace: str | None, everything: bool, source: str | None
) -> None:
    """Parse rejected items again, without a request, and store those that can be; 1 if any remains."""
    app: App = ctx.obj
    if (workspace is None) != everything:
        raise IngestError("Pass --workspace NAME, or --all.")
    rows = _found(app, workspace, source, items)
    replayed = replay_all(
        app.engine,
        SOURCES,
        lambda: True,
        owner=f"command {uuid4().hex}",
        length=app.worker("").lease_length,
        vault=app.vault,
        workspace_id=workspace,
        source=source,
        items=items,
    )
    left = len(rows)
    outcomes: list[Replayed] = []
    telling = progress(lambda: f"Parsing {len(rows)} items again: {len(outcomes)} accounts are done")
    with interruptible(), telling, redacting(app.core.redactions):
        outcomes.extend(replayed)
    for one in outcomes:
        who = f"{one.source} account '{one.account}' of workspace {one.workspace_id}"
        left -= one.stored
        echo(f"{who}: " + (one.skipped or f"{one.stored} stored, {len(one.reasons)} remain"))
        for item, reason in sorted(one.reasons.items()):
            echo(f"  {item}: {reason}")
    if not rows:
        echo("Nothing is set aside.")
    ctx.exit(1 if left else 0)


@rejected.command()
@click.argument("items", metavar="ITEM...", nargs=-1, required=True)
@click.option("--workspace", required=True)
@click.option("--source", type=Choice(list(BY_NAME)))
@click.pass_obj
def discard(app: App, items: tuple[str, ...], workspace: str, source: str | None) -> None:
    """Drop rejected items. One that the vendor sends again, as it was, is set aside again."""
    rows = _found(app, workspace, source, items)
    with app.engine.begin() as conn:
        count = discard_rejected(conn, rows)
    echo(f"{count} discarded.")


def _found(app: App, workspace: str | None, source: str | None, items: Sequence[str] = ()) -> Sequence[Any]:
    """Find rejected items. Raises IngestError for a workspace or an item that is not there."""
    with app.engine.connect() as conn:
        if workspace is not None and unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
        rows = find_rejected(conn, workspace_id=workspace, source=source, items=items)
    if missing := set(items) - {row.item_key for row in rows}:
        listing = "ingest-assets rejected list" + (f" --workspace {workspace}" if workspace else "")
        raise IngestError(f"No item {min(missing)} is set aside; `{listing}` lists them.")
    return rows
