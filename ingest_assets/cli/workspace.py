"""`ingest-assets workspace purge`: delete everything of a workspace now, not after its retention."""

from collections.abc import Mapping

import click

from ingest_assets.app import App
from ingest_assets.cli.accounts import counted
from ingest_assets.cli.asking import require_yes
from ingest_assets.cli.progress import elapsed, progress
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.features.featured import FEATURED
from ingest_assets.sources import SOURCES
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.dagster_forget import forget_workspace
from ingest_assets.storage.purging import count_rows, purge
from ingest_assets.storage.workspaces import is_known, remove_workspace
from ingest_assets.sync.oauth import forget_pairs
from ingest_assets.terminal import echo, echo_json

KNOWN = (SOURCES, FEATURED)  # whose tables are known once they are imported


@click.group()
def workspace() -> None:
    """Delete a workspace for good."""


@workspace.command("purge")
@click.argument("name", metavar="WORKSPACE")
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def purge_workspace(app: App, name: str, *, yes: bool, as_json: bool) -> None:
    """Stop everything of a WORKSPACE and delete all of its rows, logins, features, history and partition."""
    with app.engine.connect() as conn:
        if not is_known(conn, name):
            raise unknown_workspace(conn, name)
        accounts, counts = find_accounts(conn, workspace_ids=[name], disconnected=True), count_rows(conn, name)
    if not yes:
        _print(counts)
        rows = sum(counts.values())
        sentence = f"Delete workspace {name}, its {counted(accounts)} and {rows:,} rows?"
        require_yes(f"{sentence} This cannot be undone.", yes=yes)
    with app.engine.begin() as conn:
        before = find_accounts(conn, workspace_ids=[name])
        remove_workspace(conn, name)
        forget_pairs(conn, app.vault, before)
    with progress(elapsed("Deleting")):
        deleted = dict(forget_workspace(app.dagster_engine, name))  # first: afterwards there is no such workspace
        deleted |= dict(purge(app.engine, name))
    with app.engine.connect() as conn:
        if is_known(conn, name):
            raise IngestError(f"Workspace {name} was connected again meanwhile; what it has now was not deleted.")
    if as_json:
        echo_json({"workspace": name, "accounts": len(accounts), "deleted": deleted})
        return
    _print(deleted)
    echo(f"Workspace {name} is deleted.")


def _print(counts: Mapping[str, int]) -> None:
    from ingest_assets.cli.output import print_table

    print_table(("table", "rows"), [{"table": table, "rows": rows} for table, rows in counts.items()])
