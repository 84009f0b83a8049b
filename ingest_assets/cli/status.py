"""`ingest-assets status`: what is wrong, what is being read, and how each account is."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ingest_assets.app import App
from ingest_assets.cli.help import Choice
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.health import Overview
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.terminal import echo, echo_json

AGAIN = 2.0  # seconds between two looks of --watch
COLUMNS = ("workspace", "source", "account", "state", "rows", "pending", "api_calls", "calls_left", "last_success")


@click.command()
@click.option("--workspace", "workspaces", multiple=True, help="a workspace; may be repeated")
@click.option("--source", "sources", multiple=True, type=Choice(list(BY_NAME)), help="may be repeated")
@click.option("--problems", "only_problems", is_flag=True, help="only what is wrong; 1 if anything is")
@click.option("--watch", is_flag=True, help="show it again every 2 seconds, until Ctrl-C")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def status(
    ctx: click.Context,
    *,
    workspaces: tuple[str, ...],
    sources: tuple[str, ...],
    only_problems: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """Show what is wrong and why, which syncs are under way, and how each account is."""
    app: App = ctx.obj
    if watch and (as_json or not sys.stdout.isatty()):
        raise IngestError("--watch rewrites a terminal; leave it out for JSON, a file or a pipe.")
    _require_known(app, workspaces)
    while True:
        wrong = _once(app, workspaces, sources, only_problems=only_problems, watch=watch, as_json=as_json)
        if not watch:
            ctx.exit(1 if only_problems and wrong else 0)
        time.sleep(AGAIN)


def _require_known(app: App, workspaces: Sequence[str]) -> None:
    with app.engine.connect() as conn:
        if unknown := unknown_workspaces(conn, workspaces):
            raise unknown_workspace(conn, unknown[0])


def _once(
    app: App,
    workspaces: Sequence[str],
    sources: Sequence[str],
    *,
    only_problems: bool,
    watch: bool,
    as_json: bool,
) -> bool:
    """Show it; return whether anything is wrong."""
    from ingest_assets.cli.account_entries import status_entries
    from ingest_assets.cli.problems import problems

    now = datetime.now(UTC)
    entries = status_entries(app, workspaces, sources)
    found = problems(entries, now)
    if watch:
        click.clear()
    if as_json and only_problems:
        echo_json([{"who": problem.who, "problem": problem.sentence} for problem in found])
    elif as_json:
        echo_json(entries)
    else:
        print_problems(found, entries)
        if not only_problems:
            print_accounts(entries, now)
        if not (only_problems or workspaces or sources):
            print_sources(app, now)
    return bool(found)


def print_status(app: App) -> None:
    """Print all that `status` shows."""
    _once(app, (), (), only_problems=False, watch=False, as_json=False)


def print_problems(found: Sequence[Any], entries: Sequence[Any]) -> None:
    """Print what is wrong, a line each."""
    if not found:
        echo("Nothing is wrong." if entries else "No account is connected; `ingest-assets connect` connects one.")
    for problem in found:
        echo(f"{problem.who}: {problem.sentence}")


def print_accounts(entries: Sequence[Any], now: datetime) -> None:
    """Print the accounts, and below them what is being read and what is kept by decision."""
    from ingest_assets.cli.output import ago, print_table
    from ingest_assets.sync.stage import Stage

    if not entries:
        return
    echo()
    print_table(COLUMNS, [{**entry, "last_success": ago(entry["last_success"], now)} for entry in entries])
    for entry in entries:
        who = f"{entry['workspace']} {entry['source']} {entry['account']}"
        if entry["under_way"]:
            stage = Stage.from_json(entry["under_way"])
            since = f"{stage.since.astimezone(UTC):%H:%M:%S} UTC"
            echo(f"{who}: is being read since {since}: {stage.words(now)}")
        if kept := entry["not_shown"]["kept"]:
            day = entry["not_shown"]["decided_at"][:10]
            echo(f"{who}: {kept:,} rows that the vendor no longer shows are kept, as {day} decided.")


def print_sources(app: App, now: datetime) -> None:
    """Print each source's workspaces by state, and how many syncs succeeded."""
    from ingest_assets.cli.output import print_table

    with app.engine.connect() as conn:
        totals = Overview.read(conn, app.core, now).entries()
    if totals:
        echo()
        echo("Workspaces by state, and how many syncs succeeded:")
        print_table(list(totals[0]), totals)
