"""`sync --history-days`: how far back one account is read, from now on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ingest_assets.app import App
from ingest_assets.cli.accounts import require_accounts
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.sync.history import want_history
from ingest_assets.terminal import echo


def choose_history(
    app: App, source: str, workspaces: Sequence[str], name: str | None, history_days: float | None
) -> None:
    """Have the one account that is meant read so far back. Raises IngestError where it is none, or several."""
    if name is None and history_days is None:
        return
    if len(workspaces) != 1:
        raise IngestError("--name and --history-days are for one account; name its workspace with --workspace.")
    with app.engine.connect() as conn:
        rows = require_accounts(conn, source, workspaces[0], name)
    if history_days is None:
        return
    if len(rows) > 1:
        names = ", ".join(repr(row.name) for row in rows)
        raise IngestError(f"Workspace {workspaces[0]} has several {source} accounts; pass --name: {names}.")
    of, now = BY_NAME[source], datetime.now(UTC)
    since = now - timedelta(days=history_days)
    if not want_history(app.engine, of, rows[0], app.options_of(of), since, now):
        echo(f"{workspaces[0]} {rows[0].name}: is read from before that already; nothing is deleted.", err=True)
