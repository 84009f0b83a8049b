"""The command, and how what was found is printed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ingest_assets.app import App
from ingest_assets.cli.help import Choice
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.terminal import echo, echo_json

if TYPE_CHECKING:
    from ingest_assets.cli.find.places import Place
    from ingest_assets.cli.find.reasons import Reason


@click.command()
@click.argument("text")
@click.option("--workspace", required=True)
@click.option("--source", type=Choice(list(BY_NAME)), help="look at one source; default: all")
@click.option("--words", is_flag=True, help="take the text as words, though it looks like an id")
@click.option("--ask", is_flag=True, help="ask the vendor for what is not here, by its id")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def find(
    ctx: click.Context, text: str, workspace: str, source: str | None, *, words: bool, ask: bool, as_json: bool
) -> None:
    """Tell where an item is, or why it is not here; 1 if it is not.

    TEXT is an id (of a call, session, thread or message), an address (in quotes), a Message-ID, or some words,
    all of which must occur.
    """
    from ingest_assets.cli.find.nowhere import reasons_of
    from ingest_assets.cli.find.places import places
    from ingest_assets.cli.find.text import wanted
    from ingest_assets.storage.accounts import find_accounts
    from ingest_assets.storage.workspaces import unknown_workspaces

    app: App = ctx.obj
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
        accounts = find_accounts(conn, source=source, workspace_ids=[workspace], disconnected=True)
    sources = [one for one in SOURCES if source in {None, one.name}]
    looked_for = wanted(text, sources, only_words=words)
    found = places(app, workspace, looked_for, sources, {row.account_id: row for row in accounts})
    reasons = [] if found else list(reasons_of(app, workspace, looked_for, accounts, ask=ask))
    if as_json:
        echo_json(
            {
                "workspace": workspace,
                "found": bool(found),
                "items": [asdict(one) for one in found],
                "reasons": [asdict(one) for one in reasons],
            }
        )
    else:
        _print(found, reasons)
    ctx.exit(0 if found else 1)


def _print(found: "Sequence[Place]", reasons: "Sequence[Reason]") -> None:
    for one in found:
        of = f", of {one.at} UTC" if one.at else ""
        echo(f"{one.state}: {one.table} {one.id}{of}, {one.source} account '{one.account}'", bold=True)
        more = (
            ("deleted at", one.deleted_at and f"{one.deleted_at} UTC: the vendor showed it no more"),
            ("title", one.title),
            ("says", one.says),
            ("at", one.link),
            ("transcript", one.transcript),
            ("features", one.features),
            ("held", one.command and f"the vendor shows it no more; {one.command}"),
        )
        for name, value in more:
            if value:
                echo(f"    {name}: {value}")
    if not found:
        echo("Not stored.", bold=True)
    for reason in reasons:
        echo(reason.sentence)
        if told := reason.command or reason.action:
            echo(f"    {told}")
