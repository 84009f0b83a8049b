"""Tables for the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ingest_assets.app import App
from ingest_assets.sources import SOURCES
from ingest_assets.storage.overview import account_overview
from ingest_assets.storage.schema import ACTIVE

DAY = timedelta(days=1)
WIDTH = 240  # more than any row needs


def print_table(columns: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """Print entries under their column names."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for entry in entries:
        table.add_row(*("" if entry[column] is None else str(entry[column]) for column in columns))
    # at full width everywhere: a terminal that is too narrow wraps a line, and a name cut short helps nobody
    Console(width=WIDTH, soft_wrap=True).print(table)


def status_entries(app: App) -> list[dict[str, Any]]:
    """Give what `status` shows, one entry an account; what is left of a daily limit, for all who share it."""
    tables = {source.name: source.main.table for source in SOURCES}
    with app.engine.connect() as conn:
        rows = account_overview(conn, tables, datetime.now(UTC) - DAY)
    spent: Counter[tuple[str, str]] = Counter()
    for row in rows:
        spent[row.source, row.external_id] += int(row.api_calls)
    granted = {source.name: source.daily_calls(app.options_of(source)) for source in SOURCES if source.daily_calls}
    return [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "state": "retrying" if row.state == ACTIVE and row.attempts else row.state,
            "rows": row.rows,
            "api_calls": int(row.api_calls),
            "calls_left": max(0, granted[row.source] - spent[row.source, row.external_id])
            if row.source in granted
            else None,
            "last_success": _moment(row.last_success_at),
            "next_attempt": _moment(row.next_attempt_at),
            "reason": row.reason,
        }
        for row in rows
    ]


def print_status(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print the accounts, and below them the sentences, which no column would hold."""
    columns = ["workspace", "source", "account", "state", "rows", "api_calls", "calls_left", "last_success"]
    print_table(columns, entries)
    for entry in entries:
        if entry["reason"]:
            click.echo(f"{entry['workspace']} {entry['source']} {entry['account']}: {entry['reason']}")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
