"""Tables for the terminal: on one that is narrow, cells are folded; elsewhere a row is a line."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ingest_assets.terminal import duration, echo, printable

STYLES = {
    "active": "green",
    "covered": "green",
    "success": "green",
    "retrying": "yellow",
    "partial": "yellow",
    "paused": "dim",
    "failing": "red",
    "failed": "red",
    "needs_reconnect": "red",
}
"""How a terminal shows a state. NO_COLOR switches all of it off, as everywhere."""


def print_table(columns: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """Print entries under their column names; a number is set to the right."""
    rows = [[_cell(entry[column]) for column in columns] for entry in entries]
    numbers = [all(isinstance(entry[column], int | None) for entry in entries) for column in columns]
    if sys.stdout.isatty():
        _fit(columns, rows, numbers)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for line in (columns, *rows):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numbers, strict=True)
        )
        echo("  ".join(padded).rstrip())


def _fit(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, right in zip(columns, numbers, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold", min_width=len(name) // 2)
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


def moment(when: datetime | None) -> str | None:
    """Return a moment for programs."""
    return None if when is None else when.astimezone(UTC).isoformat(timespec="seconds")


def minute(when: str) -> str:
    """Return for people what `moment` made."""
    return f"{when[:16].replace('T', ' ')} UTC"


def ago(when: str | None, now: datetime) -> str | None:
    """Return how long ago a moment was, or how far ahead it is, for people."""
    if when is None:
        return None
    length = now - datetime.fromisoformat(when)
    return f"{duration(length)} ago" if length.total_seconds() >= 0 else f"in {duration(-length)}"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else printable(value)
