"""Delete our own history by age, and the data of workspaces that were removed long ago."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Engine, Table, delete, func, select

from ingest_assets.storage.deletion_tables import ACCEPTED, held_deletions
from ingest_assets.storage.feature_tables import model_requests
from ingest_assets.storage.incident_tables import incidents
from ingest_assets.storage.operations import operations
from ingest_assets.storage.purging import purge
from ingest_assets.storage.record_tables import versions
from ingest_assets.storage.schema import leases, sync_counts, syncs, workspaces

CHUNK = 20_000  # rows a transaction
OPERATIONS_KEPT = timedelta(days=365)  # longer than other history: few, and asked for late


def prune_history(engine: Engine, before: datetime) -> Iterator[tuple[str, int]]:
    """Delete old syncs, but each account's newest, their counts, and old model requests; yield (table, rows)."""
    newest = select(func.max(syncs.c.sync_id)).group_by(syncs.c.account_id)
    yield "ingest.syncs", _delete(engine, syncs, syncs.c.finished_at < before, syncs.c.sync_id.not_in(newest))
    with engine.begin() as conn:
        conn.execute(delete(sync_counts).where(sync_counts.c.since < before))
        conn.execute(delete(leases).where(leases.c.until < before))
        accepted = held_deletions.c.decision == ACCEPTED
        conn.execute(delete(held_deletions).where(accepted, held_deletions.c.decided_at < before))
        conn.execute(delete(operations).where(operations.c.began_at < before - OPERATIONS_KEPT))
        conn.execute(delete(incidents).where(incidents.c.closed_at < before))  # with their messages
    over = (model_requests.c.made_at < before, func.coalesce(model_requests.c.wait_until < func.now(), True))
    yield "features.model_requests", _delete(engine, model_requests, *over)


def prune_versions(engine: Engine, before: datetime) -> int:
    """Delete what rows held until a moment, and return how many versions that were."""
    return _delete(engine, versions, versions.c.valid_to < before)


def _delete(engine: Engine, table: Table, *where: object) -> int:
    [key] = table.primary_key
    total = 0
    while True:
        with engine.begin() as conn:
            some = select(key).where(*where).limit(CHUNK)  # type: ignore[arg-type]  # conditions, as `where` takes them
            count = conn.execute(delete(table).where(key.in_(some))).rowcount
        total += count
        if count < CHUNK:
            return total


def delete_removed(engine: Engine, before: datetime) -> Iterator[tuple[str, int]]:
    """Delete every row of the workspaces that were removed before a moment; yield (workspace, rows)."""
    removed = select(workspaces.c.workspace_id).where(workspaces.c.removed_at < before)
    with engine.connect() as conn:
        gone = conn.execute(removed).scalars().all()
    for workspace_id in gone:
        if count := sum(
            rows for _table, rows in purge(engine, workspace_id)
        ):  # none if it was taken back meanwhile
            yield workspace_id, count
