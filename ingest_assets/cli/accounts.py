"""Commands for accounts: list, pause, resume, disconnect, remove, acknowledge."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click
from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.accounts import find_accounts, set_state
from ingest_assets.storage.schema import ACTIVE, DISCONNECTED, FAILING, NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.storage.workspaces import remove_workspace
from ingest_assets.sync.oauth import forget_pairs
from ingest_assets.terminal import echo, echo_json

ACKNOWLEDGED = "from the next sync on the account is complete without it."


@click.command()
@click.option("--workspace", "workspaces", multiple=True, help="a workspace; may be repeated")
@click.option("--source", "sources", multiple=True, type=click.Choice(list(BY_NAME)), help="may be repeated")
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


def _set_state(
    conn: Connection, source: str, workspace: str, name: str | None, state: str, reason: str | None
) -> Sequence[StoredRow]:
    """Set the state of a workspace's accounts at a source; return them as they were."""
    rows = find_accounts(conn, source=source, workspace_ids=[workspace], name=name)
    if not rows:
        raise IngestError(no_account(source, workspace, name))
    set_state(conn, [row.account_id for row in rows], state, reason)
    for row in rows:
        echo(f"{source} account '{row.name}' of workspace {workspace} is now {state}.")
    return rows


def _state_command(name: str, state: str, reason: str | None, help_text: str) -> click.Command:
    @click.command(name, help=help_text)
    @click.argument("source", type=click.Choice(list(BY_NAME)))
    @click.option("--workspace", required=True)
    @click.option("--name", help="one account; default: all of the workspace at this source")
    @click.pass_obj
    def run(app: App, source: str, workspace: str, name: str | None) -> None:
        with app.engine.begin() as conn:
            rows = _set_state(conn, source, workspace, name, state, reason)
            if state == DISCONNECTED:
                forget_pairs(conn, app.vault, rows)

    return run


pause = _state_command("pause", PAUSED, "paused by an operator", "Stop syncing until resumed.")
disconnect = _state_command(
    "disconnect", DISCONNECTED, "disconnected by an operator", "Forget the login; the data stays."
)


@click.command()
@click.argument("source", type=click.Choice(list(BY_NAME)))
@click.argument("parts", metavar="[PART]...", nargs=-1)
@click.option("--workspace", required=True)
@click.option("--account", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def acknowledge(
    app: App, source: str, parts: tuple[str, ...], workspace: str, account: str | None, as_json: bool
) -> None:
    """Accept that a PART, by its name or id, is lost or cannot be read; without one, list these parts."""
    from ingest_assets.cli.acknowledging import accept, parts_of
    from ingest_assets.cli.output import print_table

    with app.engine.connect() as conn:
        if not find_accounts(conn, source=source, workspace_ids=[workspace], name=account):
            raise IngestError(no_account(source, workspace, account))
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


@click.command(help="Sync again, from where it stopped, and ask the vendor again where a new login was needed.")
@click.argument("source", type=click.Choice(list(BY_NAME)))
@click.option("--workspace")
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option(
    "--all", "everything", is_flag=True, help="all accounts that fail or need a new login; not the paused"
)
@click.pass_obj
def resume(app: App, source: str, workspace: str | None, name: str | None, everything: bool) -> None:
    if everything == (workspace is not None) or (everything and name):
        raise IngestError("Name the workspace with --workspace, or pass --all.")
    with app.engine.begin() as conn:
        if workspace is not None:
            _set_state(conn, source, workspace, name, ACTIVE, None)
            return
        rows = find_accounts(conn, source=source)
        again = [row for row in rows if row.state in {FAILING, NEEDS_RECONNECT}]
        set_state(conn, [row.account_id for row in again], ACTIVE)
    paused = sum(row.state == PAUSED for row in rows)
    echo(
        f"{len(again)} of {len(rows)} {source} accounts are asked again."
        + (
            f" {paused} stay paused; `ingest-assets resume {source} --workspace ...` resumes them."
            if paused
            else ""
        )
    )


def no_account(source: str, workspace: str, name: str | None) -> str:
    """Return the sentence that a workspace has no such account, and what to do."""
    which = f"account {name!r}" if name else "account"
    return (
        f"Workspace {workspace!r} has no {source} {which}; `ingest-assets accounts` lists them, "
        f"`ingest-assets connect {source}` makes one."
    )


@click.command()
@click.argument("workspace")
@click.pass_obj
def remove(app: App, workspace: str) -> None:
    """Stop everything of a WORKSPACE at once and forget its logins; the data stays for its retention."""
    with app.engine.begin() as conn:
        before = find_accounts(conn, workspace_ids=[workspace])
        known = remove_workspace(conn, workspace)
        forget_pairs(conn, app.vault, before)
    if not known:
        raise IngestError(f"There is no workspace {workspace!r}; `ingest-assets accounts` lists them.")
    days = app.core.keep_removed_days
    kept = "until somebody deletes it" if days is None else f"for {days} days"
    echo(f"Workspace {workspace} was removed. Its data stays {kept}; connecting an account takes it back.")
