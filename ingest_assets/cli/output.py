"""Tables for the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.features.featured import FEATURED
from ingest_assets.features.model import KINDS
from ingest_assets.features.prompt import clock
from ingest_assets.health import Overview
from ingest_assets.sources import SOURCES
from ingest_assets.storage.features import newest_features
from ingest_assets.storage.held_deletions import held_by_account
from ingest_assets.storage.overview import account_overview
from ingest_assets.storage.parts import first_open
from ingest_assets.terminal import echo, printable

DAY = timedelta(days=1)
NAMED = 3  # unreadable parts of an account
NOTHING_HELD: Mapping[str, Any] = {"waiting": 0, "kept": 0, "decided_at": None}
NOTHING_UNREADABLE: Mapping[str, Any] = {"count": 0, "first": []}


def print_table(columns: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """Print entries under their column names, at full width: a name cut short helps nobody."""
    rows = [[_cell(entry[column]) for column in columns] for entry in entries]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = (map(str.ljust, row, widths) for row in (columns, *rows))
    for line in lines:
        echo("  ".join(line).rstrip())


def status_entries(app: App) -> list[dict[str, Any]]:
    """Return what `status` shows, one entry an account; what is left of a daily limit, for all who share it."""
    tables, now = {source.name: source.main.table for source in SOURCES}, datetime.now(UTC)
    objective = timedelta(minutes=app.core.freshness_minutes)
    with app.engine.connect() as conn:
        rows = account_overview(conn, tables, now - DAY)
        unreadable = unreadable_entries(conn)
        held = {row.account_id: _held(row) for row in held_by_account(conn)}
    spent: Counter[tuple[str, str]] = Counter()
    for row in rows:
        spent[row.source, row.external_id] += int(row.api_calls)
    granted = {source.name: source.daily_calls(app.options_of(source)) for source in SOURCES if source.daily_calls}
    return [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "state": row.state,
            "fresh": row.last_success_at is not None and row.last_success_at >= now - objective,
            "rows": row.rows,
            "api_calls": int(row.api_calls),
            "calls_left": max(0, granted[row.source] - spent[row.source, row.external_id])
            if row.source in granted
            else None,
            "last_success": _moment(row.last_success_at),
            "next_attempt": _moment(row.due_at),
            "reason": row.reason,
            "unreadable": unreadable.get(row.account_id, NOTHING_UNREADABLE),
            "not_shown": held.get(row.account_id, NOTHING_HELD),
        }
        for row in rows
    ]


def _held(row: Any) -> dict[str, Any]:
    return {"waiting": row.waiting, "kept": row.kept, "decided_at": _moment(row.decided_at)}


def print_held(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each account with rows that its vendor no longer shows and that are not marked."""
    for entry in entries:
        held, which = entry["not_shown"], f"--workspace {entry['workspace']} --source {entry['source']}"
        who = f"{entry['workspace']} {entry['source']} {entry['account']}"
        if held["waiting"]:
            echo(
                f"{who}: {held['waiting']} rows that the vendor no longer shows wait for a decision; "
                f"`ingest-assets deletions review {which}` shows them."
            )
        if held["kept"]:
            day = held["decided_at"][:10]
            echo(f"{who}: {held['kept']} rows that the vendor no longer shows are kept, as {day} decided.")


def unreadable_entries(conn: Connection) -> dict[int, dict[str, Any]]:
    """Give, by account, how many parts cannot be read, acknowledged ones aside, and the first of them."""
    found: dict[int, dict[str, Any]] = {}
    for row in first_open(conn, NAMED):
        entry = found.setdefault(row.account_id, {"count": row.total, "first": []})
        entry["first"].append(
            {
                "part": row.part,
                "name": row.name,
                "code": row.code,
                "since": _moment(row.since),
                "left": row.left_at is not None,
            }
        )
    return found


def print_unreadable(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each account with parts that cannot be read."""
    for entry in entries:
        count, first = entry["unreadable"]["count"], entry["unreadable"]["first"]
        if count:
            more = f" and {count - len(first)} others" if count > len(first) else ""
            echo(
                f"{entry['workspace']} {entry['source']} {entry['account']}: not readable: "
                f"{', '.join(map(_named, first))}{more}; `ingest-assets acknowledge {entry['source']} --workspace "
                f"{entry['workspace']}` lists them."
            )


def _named(part: Mapping[str, Any]) -> str:
    if part["left"]:
        return f"{part['name']} (no longer listed since {part['since']})"
    return f"{part['name']} ({part['code']} since {part['since']})"


def print_status(app: App, entries: Sequence[Mapping[str, Any]]) -> None:
    """Print the accounts, below them the sentences, which no column would hold, and each source's totals."""
    columns = ["workspace", "source", "account", "state", "rows", "api_calls", "calls_left", "last_success"]
    print_table(columns, entries)
    print_unreadable(entries)
    print_held(entries)
    for entry in entries:
        if entry["reason"] and not _told(entry):
            echo(f"{entry['workspace']} {entry['source']} {entry['account']}: {entry['reason']}")
    with app.engine.connect() as conn:
        totals = Overview.read(conn, app.core, datetime.now(UTC)).entries()
    if totals:
        echo()
        echo("Workspaces by state, and how many syncs succeeded:")
        print_table(list(totals[0]), totals)


def _told(entry: Mapping[str, Any]) -> bool:
    """Tell whether the reason says only which parts cannot be read."""
    first = entry["unreadable"]["first"]
    return bool(first) and entry["state"] == "active" and all(part["name"] in entry["reason"] for part in first)


def feature_entries(app: App, workspace_id: str) -> list[dict[str, Any]]:
    """Return what `features` shows, newest conversation first."""
    with app.engine.connect() as conn:
        rows = [(kind, row) for kind in FEATURED for row in newest_features(conn, kind.table, workspace_id)]
    rows.sort(key=lambda pair: pair[1].occurred_at, reverse=True)
    return [
        {
            "source": kind.source.name,
            "id": row.external_id,
            "occurred_at": _moment(row.occurred_at),
            "title": row.title,
            "state": row.state,
            "reason": row.reason,
            "model": row.model,
            "extracted_at": _moment(row.extracted_at),
            "summary": row.summary,
            "found": len(row.items),
            "dropped": row.dropped,
            "items": row.items,
        }
        for kind, row in rows
    ]


def print_features(entry: Mapping[str, Any]) -> None:
    """Print one conversation's features, kind by kind, every one with its quote, speaker and time."""
    echo(entry["title"] or entry["id"], bold=True)
    echo(f"{entry['source']} {entry['id']}, {entry['occurred_at']}, read by {entry['model']}")
    if entry["reason"]:
        echo(f"{entry['state']}: {entry['reason']}")
    echo()
    echo(entry["summary"] or "No summary.")
    for name in KINDS:
        items = [item for item in entry["items"] if item["kind"] == name]
        if items:
            echo()
            echo(name.replace("_", " "), bold=True)
        for item in items:
            facts = [item[field] for field in ("person", "due", "sentiment") if item[field]]
            echo(f"  {item['statement']}" + (f" ({', '.join(facts)})" if facts else ""))
            until = "" if item["end"] is None else f"-{clock(item['end'])}"
            echo(f"    {clock(item['start'])}{until} {item['speaker']} ({item['side']}): “{item['quote']}”")


def _cell(value: object) -> str:
    return "" if value is None else printable(value)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
