"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from ingest_assets.sources import SOURCES
from ingest_assets.storage.overview import account_overview
from ingest_assets.storage.schema import ACTIVE

DAY = timedelta(days=1)
PIPE_WIDTH = 240  # where there is no terminal to fit into


def print_table(columns: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """Print entries under their column names; a pipe gets them at full width."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for entry in entries:
        table.add_row(*("" if entry[column] is None else str(entry[column]) for column in columns))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(table)


def status_entries(engine: Engine) -> list[dict[str, Any]]:
    """Give what `status` shows, one entry an account."""
    tables = {source.name: source.main.table for source in SOURCES}
    with engine.connect() as conn:
        rows = account_overview(conn, tables, datetime.now(UTC) - DAY)
    return [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "state": "retrying" if row.state == ACTIVE and row.attempts else row.state,
            "rows": row.rows,
            "api_calls": int(row.api_calls),
            "last_success": _moment(row.last_success_at),
            "next_attempt": _moment(row.next_attempt_at),
            "reason": row.reason,
        }
        for row in rows
    ]


def print_status(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print the accounts, and below them the sentences, which no column would hold."""
    print_table(["workspace", "source", "account", "state", "rows", "api_calls", "last_success"], entries)
    for entry in entries:
        if entry["reason"]:
            click.echo(f"{entry['workspace']} {entry['source']} {entry['account']}: {entry['reason']}")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
