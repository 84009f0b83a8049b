"""`ingest-assets coverage`: what of a workspace was read, what is missing, and why."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ingest_assets.app import App
from ingest_assets.cli.help import Choice
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.coverage import ACKNOWLEDGED, COLUMNS, COVERED, NO_GAPS, find_coverage
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.terminal import echo, echo_json

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
OUTSIDE, NOT_KEPT = "outside history", "outside retention"
Entry = dict[str, Any]
"""A row of the view, as it is printed."""


@click.command()
@click.option("--workspace", required=True)
@click.option("--source", type=Choice(list(BY_NAME)))
@click.option("--from", "since", type=DAY, help="only what concerns the time from here (UTC)")
@click.option("--to", "until", type=DAY, help="only what concerns the time up to here (UTC)")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def coverage(
    ctx: click.Context,
    workspace: str,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Show which ranges were read, and each gap with its reason; 1 if there is a gap."""
    from ingest_assets.cli.output import print_table

    app: App = ctx.obj
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
        rows = find_coverage(conn, workspace, source)
        kept = _kept_since(app, find_accounts(conn, source=source, workspace_ids=[workspace]))
    wanted = _utc(since), _utc(until)
    accepted = {(row.source, row.account, row.part) for row in rows if row.state == ACKNOWLEDGED}
    entries = [
        entry
        for row in rows
        for entry in _entries(row, *wanted, kept.get((row.source, row.account)))
        if entry["state"] != OUTSIDE or (row.source, row.account, row.part) not in accepted
    ]
    gaps = [entry for entry in entries if entry["state"] not in NO_GAPS | {NOT_KEPT}]
    if as_json:
        echo_json({"workspace": workspace, "complete": bool(entries) and not gaps, "coverage": entries})
    else:
        print_table(list(COLUMNS), entries)
        echo(_verdict(entries, gaps))
    ctx.exit(1 if gaps or not entries else 0)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _kept_since(app: App, accounts: Sequence[StoredRow]) -> dict[tuple[str, str], datetime]:
    """Return from when on rows are kept, by source and account, of those that do not keep them for ever."""
    now, found = datetime.now(UTC), {}
    for row in accounts:
        source = BY_NAME[row.source]
        kept = source.settings.model_validate(row.settings).kept_since(app.options_of(source), now)
        if kept is not None:
            found[row.source, row.name] = kept
    return found


def _entries(row: Any, since: datetime | None, until: datetime | None, kept: datetime | None) -> Iterator[Entry]:
    """Yield what a row says of a time; of what was read also what lies before and after it."""
    first, last = row.range_from, row.range_to
    too_old = since is not None and last is not None and last < since
    too_new = until is not None and first is not None and first > until
    if not too_old and not too_new:
        yield _entry(row)
    if row.state != COVERED:
        return
    if since is not None and since < first:
        end = first if until is None else min(first, until)
        lost = since if kept is None else min(max(since, kept), end)
        if since < lost:
            yield _outside(row, since, lost, "older than is kept", NOT_KEPT)
        if lost < end:
            yield _outside(row, lost, end, "before its history")
    if until is not None and last < until <= datetime.now(UTC):
        yield _outside(row, last if since is None else max(last, since), until, "after it was read last")


def _outside(row: Any, since: datetime, until: datetime, reason: str, state: str = OUTSIDE) -> Entry:
    return _entry(row) | {
        "range_from": _shown(since),
        "range_to": _shown(until),
        "state": state,
        "reason": reason,
    }


def _entry(row: Any) -> Entry:
    return {name: _shown(getattr(row, name)) for name in COLUMNS}


def _shown(value: object) -> object:
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _verdict(entries: Sequence[Entry], gaps: Sequence[Entry]) -> str:
    if gaps:
        return f"Not complete: {len(gaps)} {'gap' if len(gaps) == 1 else 'gaps'}."
    read = [entry["read_at"] for entry in entries if entry["state"] == COVERED]
    return f"Complete, as of {min(read)}." if read else "Not complete: nothing was read."
