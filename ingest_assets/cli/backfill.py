"""`ingest-assets backfill`: read an account further back than it was read, to the end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.accounts import require_accounts
from ingest_assets.cli.coverage import DAY
from ingest_assets.cli.help import Choice
from ingest_assets.cli.progress import progress, under_way
from ingest_assets.cli.signals import INTERRUPTED, stopping
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.sync.backfill import Backfill
from ingest_assets.sync.history import require_readable, want_history
from ingest_assets.sync.result import PARTIAL, SKIPPED, SyncResult
from ingest_assets.terminal import echo, echo_json


@click.command()
@click.option("--workspace", required=True)
@click.option("--source", required=True, type=Choice(list(BY_NAME)))
@click.option("--from", "since", required=True, type=DAY, help="from when on all is to be read (UTC)")
@click.option("--to", "until", type=DAY, help="end once what lies before is read; the next syncs read the rest")
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def backfill(
    ctx: click.Context,
    workspace: str,
    source: str,
    since: datetime,
    until: datetime | None,
    name: str | None,
    *,
    as_json: bool,
) -> None:
    """Read further back, until all of it is read. What is new comes first; what was read is not read again.

    Ctrl-C ends it at a safe place; the same command goes on there. `ingest-assets plan backfill` tells how long it
    takes.
    """
    app: App = ctx.obj
    begin, end = wanted_range(since, until, datetime.now(UTC))
    rows = accounts_of(app, workspace, source, name)
    of, options = BY_NAME[source], app.options_of(BY_NAME[source])
    now = datetime.now(UTC)
    for row in rows:  # all of them before the first one is changed
        require_readable(of, row, options, begin, now)
    worker = replace(app.worker(f"command-{uuid4()}"), history_until=end)
    done = [Backfill(of, row, options, worker, begin, end or now) for row in rows]
    with stopping(worker.stop), progress(lambda: under_way(of, worker)):
        for one in done:
            want_history(app.engine, of, one.row, options, begin, now)
            for result in one.run():
                if not as_json:
                    echo(_line(result))
            if not as_json and not worker.stop.requested:
                echo(_verdict(one))
    if as_json:
        echo_json([_entry(one) for one in done])
    if worker.stop.requested:
        ctx.exit(INTERRUPTED)
    ctx.exit(0 if all(one.covered and not _unreadable(one) for one in done) else 1)


def wanted_range(since: datetime, until: datetime | None, now: datetime) -> tuple[datetime, datetime | None]:
    """Return a range in UTC. Raises IngestError where it is none, or lies ahead."""
    begin, end = since.replace(tzinfo=UTC), None if until is None else until.replace(tzinfo=UTC)
    for option, moment in (("--from", begin), ("--to", end)):
        if moment is not None and moment >= now:
            raise IngestError(f"{option} {moment:%Y-%m-%d %H:%M} lies in the future; choose an earlier time.")
    if end is not None and end <= begin:
        raise IngestError("--to lies before --from, or is the same; choose a later --to.")
    return begin, end


def accounts_of(app: App, workspace: str, source: str, name: str | None) -> Sequence[StoredRow]:
    """Return accounts of a workspace. Raises IngestError where there are none."""
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
        return require_accounts(conn, source, workspace, name)


def _line(result: SyncResult) -> str:
    who = f"{result.account.workspace_id} {result.account.name}"
    if result.status == SKIPPED:
        return f"{who}: another run reads this account; waiting for it."
    calls = sum(result.calls.values())
    back = f", back to {result.read_from:%Y-%m-%d %H:%M}" if result.read_from else ""
    return f"{who}: {result.counts.new} new, {calls} API calls, {result.seconds:.1f} s{back}"


def _verdict(one: Backfill) -> str:
    who = f"{one.row.workspace_id} {one.row.name}"
    if not one.covered:
        return f"{who}: not covered: {one.reason}"
    lost = f"; {one.results[-1].reason}" if _unreadable(one) else ""
    return f"{who}: covered from {one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC{lost}"


def _unreadable(one: Backfill) -> bool:
    return bool(one.results) and one.results[-1].status == PARTIAL


def _entry(one: Backfill) -> dict[str, object]:
    return {
        "workspace": one.row.workspace_id,
        "source": one.row.source,
        "account": one.row.name,
        "from": one.since.isoformat(),
        "to": one.until.isoformat(),
        "covered": one.covered,
        "reason": one.reason or (one.results[-1].reason if _unreadable(one) else None),
        "syncs": len(one.results),
        "new": sum(result.counts.new for result in one.results),
        "api_calls": sum(sum(result.calls.values()) for result in one.results),
    }
