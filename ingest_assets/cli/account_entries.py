"""What is known of each account: as JSON, and as what `status` and `accounts` show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.cli.output import moment
from ingest_assets.sources import SOURCES
from ingest_assets.sources.transcript_state import LISTED, PENDING
from ingest_assets.storage.held_deletions import held_by_account
from ingest_assets.storage.overview import account_overview, unready_by_account
from ingest_assets.storage.parts import first_open
from ingest_assets.storage.rejected import rejected_by_account

DAY = timedelta(days=1)
NAMED = 3  # unreadable parts of an account
NOTHING_HELD: Mapping[str, Any] = {"waiting": 0, "kept": 0, "decided_at": None}
NOTHING_UNREADABLE: Mapping[str, Any] = {"count": 0, "first": []}
Entry = dict[str, Any]
"""One account."""


def status_entries(app: App, workspaces: Sequence[str] = (), sources: Sequence[str] = ()) -> list[Entry]:
    """Return one entry an account, of some workspaces and sources or of all.

    What is left of a daily limit is that of all accounts that share it, shown or not.
    """
    tables, now = {source.name: source.main.table for source in SOURCES}, datetime.now(UTC)
    objective = timedelta(minutes=app.core.freshness_minutes)
    with app.engine.connect() as conn:
        rows = account_overview(conn, tables, now - DAY)
        unreadable = unreadable_entries(conn)
        rejected = rejected_by_account(conn)
        pending = unready_by_account(conn, tables.values(), (LISTED, PENDING))
        held = {row.account_id: _held(row) for row in held_by_account(conn)}
    left = _calls_left(app, rows)
    return [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "state": row.state,
            "since": moment(row.error_since or row.state_since),
            "fresh": row.last_success_at is not None and row.last_success_at >= now - objective,
            "overdue": max(row.last_success_at or row.state_since, row.state_since) < now - objective,
            "rows": row.rows,
            "api_calls": int(row.api_calls),
            "calls_left": left.get((row.source, row.external_id)),
            "last_success": moment(row.last_success_at),
            "next_attempt": moment(row.due_at),
            "reason": row.reason,
            "pending": pending.get(row.account_id, 0),
            "rejected": rejected.get(row.account_id, 0),
            "unreadable": unreadable.get(row.account_id, NOTHING_UNREADABLE),
            "not_shown": held.get(row.account_id, NOTHING_HELD),
            "under_way": row.stage if row.lease_until is not None and row.lease_until > now else None,
        }
        for row in rows
        if _among(row.workspace_id, workspaces) and _among(row.source, sources)
    ]


def _among(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted


def _calls_left(app: App, rows: Sequence[Any]) -> dict[tuple[str, str], int]:
    """Return what is left of the day's requests, by source and login, where a vendor has such a limit."""
    spent: Counter[tuple[str, str]] = Counter()
    for row in rows:
        spent[row.source, row.external_id] += int(row.api_calls)
    granted = {source.name: source.daily_calls(app.options_of(source)) for source in SOURCES if source.daily_calls}
    return {key: max(0, granted[key[0]] - calls) for key, calls in spent.items() if key[0] in granted}


def _held(row: Any) -> Entry:
    return {"waiting": row.waiting, "kept": row.kept, "decided_at": moment(row.decided_at)}


def unreadable_entries(conn: Connection) -> dict[int, Entry]:
    """Return, by account, how many parts cannot be read, acknowledged ones aside, and the first of them."""
    found: dict[int, Entry] = {}
    for row in first_open(conn, NAMED):
        entry = found.setdefault(row.account_id, {"count": row.total, "first": []})
        entry["first"].append(
            {
                "part": row.part,
                "name": row.name,
                "code": row.code,
                "since": moment(row.since),
                "left": row.left_at is not None,
            }
        )
    return found
