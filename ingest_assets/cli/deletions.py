"""`ingest-assets deletions`: rows that a vendor shows no more, too many to be marked without a decision."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.help import Choice
from ingest_assets.cli.reviewing import Chosen, parts_of, what_to_do
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.deletion_tables import ACCEPTED, REFUSED
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.deciding import Step, accepting, decide_on, refusing, review_of, reviewed, undoing
from ingest_assets.terminal import echo, echo_json

COLUMNS = ["source", "account", "part", "table", "rows", "flagged", "from", "to", "since", "ids"]
NAMED = 3  # ids of a part in the table

P = ParamSpec("P")


def of_accounts(command: Callable[Concatenate[click.Context, Chosen, P], None]) -> Callable[..., None]:
    """Add the options that choose accounts, and hand them over as one."""

    @click.option("--workspace", required=True)
    @click.option("--source", type=Choice(list(BY_NAME)))
    @click.option("--name", "account", help="one account, by its name; default: all")
    @click.pass_context
    @wraps(command)
    def chosen(
        ctx: click.Context,
        /,
        workspace: str,
        source: str | None,
        account: str | None,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        command(ctx, Chosen(workspace, source, account), *args, **kwargs)

    return chosen


named = click.option("--review", "number", required=True, help="the number of the review that is decided on")


@click.group()
def deletions() -> None:
    """Decide on rows that a vendor shows no more, where they are too many to believe."""


@deletions.command()
@click.option("--kept", is_flag=True, help="those that were refused, and are kept")
@click.option("--show-text", is_flag=True, help="the first words of some rows, too")
@click.option("--json", "as_json", is_flag=True, help="print JSON, with all ids")
@of_accounts
def review(ctx: click.Context, chosen: Chosen, *, kept: bool, show_text: bool, as_json: bool) -> None:
    """Show which rows wait for a decision, by part; 1 if any does."""
    from ingest_assets.cli.output import print_table

    app: App = ctx.obj
    rows = chosen.held(app, REFUSED if kept else None)
    entries, number = parts_of(app, rows), review_of(rows) if rows else None
    words = [(entry["part"], entry.pop("words")) for entry in entries if not (show_text and as_json)]
    if as_json:
        echo_json({"workspace": chosen.workspace, "review": number, "parts": entries})
    else:
        print_table(COLUMNS, [entry | {"ids": " ".join(entry["ids"][:NAMED])} for entry in entries])
        for part, some in words if show_text else ():
            for one in some:
                echo(f"{part} {one['at']} {one['id']}: {one['words'] or ''}")
        echo(what_to_do(chosen, number, len(rows), kept=kept))
    ctx.exit(1 if rows and not kept else 0)


@deletions.command()
@named
@click.option("--kept", is_flag=True, help="the review was one of rows that are kept")
@of_accounts
def accept(ctx: click.Context, chosen: Chosen, *, number: str, kept: bool) -> None:
    """Mark exactly the rows of a review as deleted."""
    rows = reviewed(chosen.held(ctx.obj, REFUSED if kept else None), number)
    whole = _decide(ctx.obj, rows, accepting(number, kept=kept), "marked as deleted")
    echo(f"`ingest-assets deletions undo {chosen} --review {number}` takes it back.")
    ctx.exit(0 if whole else 1)


@deletions.command()
@named
@of_accounts
def refuse(ctx: click.Context, chosen: Chosen, *, number: str) -> None:
    """Keep exactly the rows of a review; they do not stop a sync again."""
    rows = reviewed(chosen.held(ctx.obj, None), number)
    ctx.exit(0 if _decide(ctx.obj, rows, refusing(number), "kept") else 1)


@deletions.command()
@named
@of_accounts
def undo(ctx: click.Context, chosen: Chosen, *, number: str) -> None:
    """Make the rows living again that an accepted review marked; they are kept from then on."""
    rows = chosen.held(ctx.obj, ACCEPTED, number)
    if not rows:
        raise IngestError(f"No row is there that was marked by review {number}.")
    ctx.exit(0 if _decide(ctx.obj, rows, undoing(number), "living again, and kept") else 1)


def _decide(app: App, rows: Sequence[StoredRow], step: Step, done: str) -> bool:
    """Print what becomes of each account's rows; false where one was not decided on whole."""
    length, whole = app.worker("").lease_length, True
    for one in decide_on(app.engine, rows, step, owner=f"command {uuid4().hex}", length=length):
        whole = whole and one.skipped is None
        more = f"; {one.skipped}" if one.skipped else ""
        echo(f"{one.source} account '{one.account}' of workspace {one.workspace_id}: {one.rows} rows {done}{more}")
    return whole
