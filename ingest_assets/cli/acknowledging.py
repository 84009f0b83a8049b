"""Accept that parts of an account are lost or cannot be read: they no longer make its syncs partial."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.storage.parts import acknowledge, find_parts
from ingest_assets.storage.schema import StoredRow

NAMED = 10  # parts in an error


@dataclass(frozen=True, kw_only=True)
class Part:
    """An unreadable part, and whose it is."""

    workspace: str
    source: str
    account: str
    part: str
    name: str
    code: str
    action: str | None
    since: str
    attempts: int
    left: bool
    acknowledged: bool


def parts_of(app: App, source: str, workspace_id: str, account: str | None) -> list[Part]:
    """Return the unreadable parts of a workspace's accounts at a source, acknowledged ones included."""
    with app.engine.connect() as conn:
        return [_part_of(row) for row in find_parts(conn, source, workspace_id, account)]


def accept(
    app: App, source: str, workspace_id: str, account: str | None, wanted: Sequence[str], now: datetime
) -> list[Part]:
    """Acknowledge parts, by their names or ids; return them as they were before.

    Raises IngestError, before anything is acknowledged, where there is no such part, or several of a name.
    """
    with app.engine.begin() as conn:
        rows = find_parts(conn, source, workspace_id, account)
        chosen = {(row.account_id, row.part): row for text in wanted for row in _chosen(rows, text)}
        for account_id in {row.account_id for row in chosen.values()}:
            acknowledge(
                conn, account_id, [row.part for row in chosen.values() if row.account_id == account_id], now
            )
    return [_part_of(row) for row in chosen.values()]


def _chosen(rows: Sequence[StoredRow], text: str) -> list[StoredRow]:
    """Find a part by its id, else by its name, with or without the leading #."""
    found = [row for row in rows if row.part == text] or [row for row in rows if _bare(row.name) == _bare(text)]
    if not found:
        raise IngestError(_unknown(rows, text))
    if len(found) > 1:
        which = ", ".join(f"{row.part} of account '{row.account}'" for row in found[:NAMED])
        raise IngestError(f"{len(found)} parts are called '{text}': {which}; name one by its id, or pass --name.")
    return found


def _unknown(rows: Sequence[StoredRow], text: str) -> str:
    if not rows:
        return f"No part is called '{text}': all parts of these accounts are read."
    names = {_bare(row.name): row.name for row in rows}
    close = get_close_matches(_bare(text), names, n=1)
    hint = f"Did you mean '{names[close[0]]}'?" if close else f"There are: {_some([row.name for row in rows])}."
    return f"No unreadable part is called '{text}'. {hint}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _bare(name: str) -> str:
    return name.removeprefix("#").casefold()


def _part_of(row: StoredRow) -> Part:
    return Part(
        workspace=row.workspace_id,
        source=row.source,
        account=row.account,
        part=row.part,
        name=row.name,
        code=row.code,
        action=row.action,
        since=row.since.isoformat(timespec="seconds"),
        attempts=row.attempts,
        left=row.left_at is not None,
        acknowledged=row.acknowledged_at is not None,
    )
