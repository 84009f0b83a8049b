"""What became of syncs: each one's row, and how many succeed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Text, bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.account_leases import HELD, Lease
from ingest_assets.storage.accounts import UNRESERVED
from ingest_assets.storage.schema import COUNTED, Columns, ColumnsView, accounts, sync_counts, syncs, timestamp

SUCCEEDED = ("success", "partial")
NEWEST = 10  # syncs looked at for an account whose last one is wanted

_FINISH = (
    update(accounts)
    .where(HELD)
    .values(
        state_since=case((accounts.c.state == bindparam("next_state"), accounts.c.state_since), else_=func.now()),
        error_since=case(
            (bindparam("failed_with", type_=Text).is_(None), None),
            else_=func.coalesce(accounts.c.error_since, func.now()),
        ),
        lease_until=None,
        lease_owner=None,
        stage=None,
        **UNRESERVED,
    )
    .returning(accounts.c.workspace_id, accounts.c.source)
)
_HISTORY = insert(syncs)
_ONE_MORE = insert(sync_counts).values(
    source=bindparam("source"),
    since=func.date_bin(COUNTED, bindparam("finished_at", type_=timestamp), datetime.fromtimestamp(0, UTC)),
    succeeded=bindparam("succeeded"),
    total=1,
)
_COUNT = _ONE_MORE.on_conflict_do_update(
    index_elements=list(sync_counts.primary_key),
    set_={
        "succeeded": sync_counts.c.succeeded + _ONE_MORE.excluded.succeeded,
        "total": sync_counts.c.total + 1,
    },
)


def finish_sync(conn: Connection, lease: Lease, state: ColumnsView, *, history: ColumnsView) -> bool:
    """Set the account's next state, let the lease go and write history; false when the lease was lost.

    To be the last of a transaction: all syncs of a source count up the same row.
    """
    columns = {**state, "last_sync_at": history["started_at"]}
    row = conn.execute(
        _FINISH, {**columns, **lease.key, "next_state": state["state"], "failed_with": state["error_kind"]}
    ).one_or_none()
    if row is None:
        return False
    whose = {"account_id": lease.account_id, "workspace_id": row.workspace_id, "source": row.source}
    conn.execute(_HISTORY, {**whose, **history})
    succeeded = int(history["status"] in SUCCEEDED)
    conn.execute(_COUNT, {"source": row.source, "finished_at": history["finished_at"], "succeeded": succeeded})
    return True


def calls_by_sync(
    conn: Connection, source: str, external_id: str, since: datetime
) -> Sequence[tuple[datetime, int]]:
    """Return each finished sync's start and requests, of all accounts that share one limit of the vendor."""
    rows = conn.execute(
        select(syncs.c.started_at, syncs.c.api_calls)
        .join(accounts, accounts.c.account_id == syncs.c.account_id)
        .where(accounts.c.source == source, accounts.c.external_id == external_id, syncs.c.started_at >= since)
        .order_by(syncs.c.started_at)
    )
    return [(row.started_at, row.api_calls) for row in rows]


def success_rates(
    conn: Connection, now: datetime, windows: Mapping[str, timedelta]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Count finished syncs: (source, window) -> (succeeded, all). A window without any is absent.

    A window begins up to ten minutes earlier, since that is how syncs are counted.
    """
    columns = []
    for name, length in windows.items():
        within = sync_counts.c.since > now - length - COUNTED
        columns += [
            func.sum(sync_counts.c.succeeded).filter(within).label(f"{name}_good"),
            func.sum(sync_counts.c.total).filter(within).label(name),
        ]
    rows = conn.execute(select(sync_counts.c.source, *columns).group_by(sync_counts.c.source)).mappings()
    return {
        (row["source"], name): (row[f"{name}_good"], row[name]) for row in rows for name in windows if row[name]
    }


def outage(conn: Connection, source: str, since: datetime, least: int) -> datetime | None:
    """Return the newest sync's end if the last `least` workspaces, since a moment, all had transient errors.

    An account that failed more than once in a row tells of itself and not of the vendor.
    """
    rows = conn.execute(
        select(syncs.c.workspace_id, syncs.c.status, syncs.c.error_kind, syncs.c.finished_at)
        .join(accounts, accounts.c.account_id == syncs.c.account_id)
        .where(syncs.c.source == source, syncs.c.finished_at >= since, accounts.c.attempts <= 1)
        .order_by(syncs.c.finished_at.desc())
        .limit(NEWEST * least)
    ).all()
    last: Columns = {}
    for row in rows:
        last.setdefault(row.workspace_id, row)
    newest = list(last.values())[:least]
    down = len(newest) == least and all((row.status, row.error_kind) == ("failed", "transient") for row in newest)
    return rows[0].finished_at if down else None
