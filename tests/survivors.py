"""A crowd of workspaces, its rows' checksum, and the checksum of an undisturbed run."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import yaml
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_assets.storage.vault import new_key
from ingest_assets.sync.pool import sync_workspaces

ITEMS = 3


def environ(simulator: Simulator) -> dict[str, str]:
    """Settings that let a test see the end of a dead worker's lease."""
    return {**crowd.environ(simulator), "INGEST_ENCRYPTION_KEYS": new_key(), "INGEST_LEASE_SECONDS": "5"}


def instance(shipped: Path, folder: Path) -> Path:
    """Write a shipped dagster.yaml anew, whose queue is looked at each second instead of every 5; return it."""
    told = yaml.safe_load(shipped.read_text())
    told["run_queue"]["dequeue_interval_seconds"] = 1
    changed = folder / "instance.yaml"
    changed.write_text(yaml.safe_dump(told))
    return changed


def checksum(app: App) -> str:
    """Sum up every stored row; equal for two databases that hold the same."""
    found = sha256()
    with app.engine.connect() as conn:
        for table in (record.table for source in SOURCES for record in source.records):
            rows = conn.execute(
                text(
                    f"select workspace_id, external_id, content_hash, deleted_at is null from {table.fullname}"
                    " order by workspace_id, external_id"
                )
            )
            for row in rows:
                found.update(repr((table.name, *row[:2], bytes(row[2]), row[3])).encode())
    return found.hexdigest()


def undisturbed(environ: dict[str, str], database_url: str, names: list[str]) -> str:
    """Sync the same customers in one go; give the checksum."""
    engine = connect(database_url)
    migrate(engine)
    engine.dispose()
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.connect(app, SLACK, names)
    list(sync_workspaces(SLACK, names, app.options_of(SLACK), app.worker("undisturbed")))
    found = checksum(app)
    app.engine.dispose()
    return found


def fresh(app: App) -> int:
    """Count the accounts that had a complete sync."""
    with app.engine.connect() as conn:
        count: int = conn.execute(
            text("select count(*) from ingest.accounts where last_success_at is not null")
        ).scalar_one()
    return count


def rewritten(app: App) -> int:
    """Count the rows that were written more than once."""
    with app.engine.connect() as conn:
        count: int = conn.execute(
            text("select count(*) from raw.slack_messages where updated_at <> first_seen_at")
        ).scalar_one()
    return count
