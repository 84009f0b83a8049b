"""Commands that stop reading for a while, and let it go on: of a source, or by the language model."""

from collections.abc import Callable, Sequence

import click
from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.cli.accounts import require_accounts
from ingest_assets.cli.help import Choice
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.accounts import ALL, find_accounts, set_state
from ingest_assets.storage.schema import ACTIVE, FAILING, NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.storage.workspaces import pause_features, unknown_workspaces
from ingest_assets.terminal import echo

FEATURES = "features"
WHAT = Choice([*BY_NAME, FEATURES])


def _of_whom(run: Callable[..., None]) -> Callable[..., None]:
    """Add what both commands are told of whom they concern."""
    for parameter in (
        click.option("--name", help="one account of it; default: all of the workspace at this source"),
        click.option("--workspace", help="of one workspace"),
        click.argument("what", metavar="SOURCE|features", type=WHAT),
    ):
        run = parameter(run)
    return run


@click.command(help="Read nothing more of a SOURCE until it is resumed, or let the language model read nothing.")
@_of_whom
@click.option("--all", "everything", is_flag=True, help="of all workspaces")
@click.pass_obj
def pause(app: App, what: str, workspace: str | None, name: str | None, *, everything: bool) -> None:
    _require_one(workspace, name, everything=everything)
    with app.engine.begin() as conn:
        if what == FEATURES:
            _features(conn, workspace, paused=True)
            return
        if workspace is not None:
            rows = require_accounts(conn, what, workspace, name)
            set_state(conn, [row.account_id for row in rows], PAUSED, "paused by an operator")
            _tell(what, rows, PAUSED)
            return
        rows = [row for row in find_accounts(conn, source=what) if row.state != PAUSED]
        reason = "paused by an operator, with all others of its source"
        set_state(conn, [row.account_id for row in rows], PAUSED, reason, paused_with=ALL)
    echo(f"{len(rows)} {what} accounts are paused; `ingest-assets resume {what} --all` resumes them.")


@click.command(help="Sync again, from where it stopped, and ask the vendor again where a new login was needed.")
@_of_whom
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="all accounts that fail, need a new login, or were paused by `pause --all`; not those paused one by one",
)
@click.pass_obj
def resume(app: App, what: str, workspace: str | None, name: str | None, *, everything: bool) -> None:
    _require_one(workspace, name, everything=everything)
    with app.engine.begin() as conn:
        if what == FEATURES:
            _features(conn, workspace, paused=False)
            return
        if workspace is not None:
            rows = require_accounts(conn, what, workspace, name)
            set_state(conn, [row.account_id for row in rows], ACTIVE)
            _tell(what, rows, ACTIVE)
            return
        rows = find_accounts(conn, source=what)
        again = [row for row in rows if row.state in {FAILING, NEEDS_RECONNECT} or row.paused_with == ALL]
        set_state(conn, [row.account_id for row in again], ACTIVE)
    paused = sum(row.state == PAUSED and row.paused_with != ALL for row in rows)
    stay = f" {paused} stay paused; `ingest-assets resume {what} --workspace ...` resumes them." if paused else ""
    echo(f"{len(again)} of {len(rows)} {what} accounts are asked again.{stay}")


def _require_one(workspace: str | None, name: str | None, *, everything: bool) -> None:
    if everything == (workspace is not None) or (everything and name):
        raise IngestError("Name the workspace with --workspace, or pass --all.")


def _tell(source: str, rows: Sequence[StoredRow], state: str) -> None:
    for row in rows:
        echo(f"{source} account '{row.name}' of workspace {row.workspace_id} is now {state}.")


def _features(conn: Connection, workspace: str | None, *, paused: bool) -> None:
    if workspace is not None and unknown_workspaces(conn, [workspace]):
        raise unknown_workspace(conn, workspace)
    count = pause_features(conn, workspace, paused=paused)
    which = f"workspace {workspace}" if workspace is not None else f"{count} workspaces"
    echo(f"The language model reads {'nothing more' if paused else 'again what is new'} of {which}.")
