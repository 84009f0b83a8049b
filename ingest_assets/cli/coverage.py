"""`ingest-assets coverage`: what of a workspace was read, what is missing, and why."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ingest_assets.app import App
from ingest_assets.errors import NO_WORKSPACE, IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.coverage import ACKNOWLEDGED, COLUMNS, COVERED, find_coverage
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.terminal import echo, echo_json

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
NO_GAPS = {COVERED, ACKNOWLEDGED}
OUTSIDE = "outside history"
Entry = dict[str, Any]
"""A row of the view, as it is printed."""


@click.command()
@click.option("--workspace", required=True)
@click.option("--source", type=click.Choice(list(BY_NAME)))
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
            raise IngestError(NO_WORKSPACE.format(workspace, source or "slack"))
        rows = find_coverage(conn, workspace, source)
    wanted = _utc(since), _utc(until)
    entries = [entry for row in rows for entry in _entries(row, *wanted)]
    gaps = [entry for entry in entries if entry["state"] not in NO_GAPS]
    if as_json:
        echo_json({"workspace": workspace, "complete": bool(entries) and not gaps, "coverage": entries})
    else:
        print_table(list(COLUMNS), entries)
        echo(_verdict(entries, gaps))
    ctx.exit(1 if gaps or not entries else 0)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _entries(row: Any, since: datetime | None, until: datetime | None) -> Iterator[Entry]:
    """Yield a row if it concerns the time that is wanted, and the time before it if nobody read that."""
    before, after = row.range_to, row.range_from
    if (since is not None and before is not None and before < since) or (
        until is not None and after is not None and after > until
    ):
        if row.state == COVERED:
            yield _entry(row) | {"state": OUTSIDE, "reason": "nothing of this time was read"}
        return
    yield _entry(row)
    if row.state == COVERED and since is not None and after > since:
        missing = {"range_from": _shown(since), "range_to": _shown(after), "state": OUTSIDE}
        yield _entry(row) | missing | {"reason": "before what was read; history settings bound it"}


def _entry(row: Any) -> Entry:
    return {name: _shown(getattr(row, name)) for name in COLUMNS}


def _shown(value: object) -> object:
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _verdict(entries: Sequence[Entry], gaps: Sequence[Entry]) -> str:
    if gaps:
        return f"Not complete: {len(gaps)} {'gap' if len(gaps) == 1 else 'gaps'}."
    read = [entry["read_at"] for entry in entries if entry["state"] == COVERED]
    return f"Complete, as of {min(read)}." if read else "Not complete: nothing was read."
