"""Commands for accounts: list, disconnect, remove, acknowledge."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click
from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.cli.asking import require_yes
from ingest_assets.cli.help import Choice
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError, did_you_mean
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.accounts import find_accounts, set_state
from ingest_assets.storage.schema import DISCONNECTED, StoredRow
from ingest_assets.storage.workspaces import remove_workspace, unknown_workspaces
from ingest_assets.storage.writes import stored_rows
from ingest_assets.sync.oauth import forget_pairs
from ingest_assets.terminal import echo, echo_json

ACKNOWLEDGED = "from the next sync on the account is complete without it."


@click.command()
@click.option("--workspace", "workspaces", multiple=True, help="a workspace; may be repeated")
@click.option("--source", "sources", multiple=True, type=Choice(list(BY_NAME)), help="may be repeated")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def accounts(app: App, workspaces: tuple[str, ...], sources: tuple[str, ...], as_json: bool) -> None:
    """List the connected accounts."""
    from ingest_assets.cli.account_entries import NOTHING_UNREADABLE, unreadable_entries
    from ingest_assets.cli.output import print_table
    from ingest_assets.cli.problems import unreadable

    with app.engine.connect() as conn:
        rows = [
            row
            for row in find_accounts(conn, workspace_ids=workspaces or None)
            if not sources or row.source in sources
        ]
        parts = unreadable_entries(conn)
    entries = [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "id": row.external_id,
            "state": row.state,
            "settings": {key: value for key, value in row.settings.items() if value},
            "unreadable": parts.get(row.account_id, NOTHING_UNREADABLE),
        }
        for row in rows
    ]
    if as_json:
        echo_json(entries)
    else:
        print_table(["workspace", "source", "account", "id", "state", "settings"], entries)
        for problem in unreadable(entries):
            echo(f"{problem.who}: {problem.sentence}")


@click.command()
@click.argument("source", type=Choice(list(BY_NAME)))
@click.option("--workspace", required=True)
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option("--yes", is_flag=True, help="do not ask")
@click.pass_obj
def disconnect(app: App, source: str, workspace: str, name: str | None, *, yes: bool) -> None:
    """Forget the login; the data stays."""
    with app.engine.connect() as conn:
        rows = require_accounts(conn, source, workspace, name)
        stored = sum(stored_rows(conn, BY_NAME[source].main.table, row.account_id) for row in rows)
    named = ", ".join(repr(row.name) for row in rows)
    what = f"Forget the login of {counted(rows)} ({named}) of workspace {workspace}"
    require_yes(f"{what}? The {stored:,} rows that are stored stay.", yes=yes)
    with app.engine.begin() as conn:
        set_state(conn, [row.account_id for row in rows], DISCONNECTED, "disconnected by an operator")
        forget_pairs(conn, app.vault, rows)
    for row in rows:
        echo(f"{source} account '{row.name}' of workspace {workspace} is now {DISCONNECTED}.")


def counted(rows: Sequence[StoredRow]) -> str:
    """Return how many accounts these are, in words."""
    return f"{len(rows)} account{'' if len(rows) == 1 else 's'}"


@click.command()
@click.argument("source", type=Choice(list(BY_NAME)))
@click.argument("parts", metavar="[PART]...", nargs=-1)
@click.option("--workspace", required=True)
@click.option("--name", "account", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def acknowledge(
    app: App, source: str, parts: tuple[str, ...], workspace: str, account: str | None, as_json: bool
) -> None:
    """Accept that a PART, by its name or id, is lost or cannot be read; without one, list these parts."""
    from ingest_assets.cli.acknowledging import accept, parts_of
    from ingest_assets.cli.output import print_table

    with app.engine.connect() as conn:
        require_accounts(conn, source, workspace, account)
    if parts:
        found = accept(app, source, workspace, account, parts, datetime.now(UTC))
    else:
        found = [part for part in parts_of(app, source, workspace, account) if not part.acknowledged]
    if as_json:
        echo_json([asdict(part) for part in found])
    elif parts:
        for part in found:
            again = "was acknowledged already" if part.acknowledged else "is acknowledged"
            echo(f"{part.name} of {source} account '{part.account}' {again}: {ACKNOWLEDGED}")
    elif found:
        print_table(["account", "name", "code", "since", "part", "action"], [asdict(part) for part in found])
    else:
        echo(f"No part of workspace {workspace} at {source} waits to be acknowledged.")


def require_accounts(conn: Connection, source: str, workspace: str, name: str | None) -> Sequence[StoredRow]:
    """Return a workspace's accounts at a source, or the one of a name. Raises IngestError where there is none."""
    rows = find_accounts(conn, source=source, workspace_ids=[workspace], name=name)
    if not rows:
        raise IngestError(no_account(source, workspace, name, find_accounts(conn, source=source)))
    return rows


def no_account(source: str, workspace: str, name: str | None, known: Sequence[StoredRow]) -> str:
    """Return the sentence that a workspace has no such account, and what to do; `known`: the source's accounts."""
    names = [row.name for row in known if row.workspace_id == workspace]
    near = (
        did_you_mean(name, names) if name and names else did_you_mean(workspace, {r.workspace_id for r in known})
    )
    which = f"account {name!r}" if name else "account"
    return (
        f"Workspace {workspace!r} has no {source} {which}; `ingest-assets accounts` lists them, "
        f"`ingest-assets connect {source}` makes one.{near}"
    )


@click.command()
@click.argument("workspace")
@click.option("--yes", is_flag=True, help="do not ask")
@click.pass_obj
def remove(app: App, workspace: str, *, yes: bool) -> None:
    """Stop everything of a WORKSPACE at once and forget its logins; the data stays for its retention."""
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace)
        before = find_accounts(conn, workspace_ids=[workspace])
        stored = sum(stored_rows(conn, BY_NAME[row.source].main.table, row.account_id) for row in before)
    days = app.core.keep_removed_days
    kept = "until somebody deletes it" if days is None else f"for {days} days"
    what = f"Remove workspace {workspace} and forget the logins of {counted(before)}"
    require_yes(f"{what}? The {stored:,} rows that are stored stay {kept}.", yes=yes)
    with app.engine.begin() as conn:
        before = find_accounts(conn, workspace_ids=[workspace])
        remove_workspace(conn, workspace)
        forget_pairs(conn, app.vault, before)
    echo(f"Workspace {workspace} was removed. Its data stays {kept}; connecting an account takes it back.")
