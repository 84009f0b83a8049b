"""`ingest-assets operations`: who did what, and when."""

import click

from ingest_assets.app import App
from ingest_assets.storage.operations import newest
from ingest_assets.terminal import echo, echo_json

COLUMNS = ("began_at", "who", "command", "source", "workspace", "options", "exit_code")


@click.command()
@click.option("--workspace", help="one workspace")
@click.option("--last", type=click.IntRange(1, 10_000), default=20, show_default=True, help="so many")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def operations(app: App, workspace: str | None, last: int, *, as_json: bool) -> None:
    """List the commands that changed something, newest first: who, what, when, and how they ended."""
    from ingest_assets.cli.output import moment, print_table

    with app.engine.connect() as conn:
        rows = newest(conn, workspace, last)
    entries = [
        {
            "began_at": moment(row.began_at),
            "ended_at": moment(row.ended_at),
            "who": row.who,
            "command": row.command,
            "source": row.source,
            "workspace": row.workspace_id,
            "options": row.options,
            "exit_code": row.exit_code,
        }
        for row in rows
    ]
    if as_json:
        echo_json(entries)
    elif entries:
        shown = {True: "under way, or killed"}
        print_table(
            COLUMNS,
            [
                entry
                | {
                    "options": " ".join(f"{name}={value}" for name, value in entry["options"].items()),
                    "exit_code": shown.get(entry["ended_at"] is None, str(entry["exit_code"])),
                }
                for entry in entries
            ],
        )
    else:
        echo("Nothing was changed by a command yet.")
