"""Who is due, and for which runs accounts are reserved.

An account is due from `due_at` on. Whoever asks for its run reserves it first: until `reserved_until` it is
given to no other run, so that it is neither read twice nor, where its run cannot even begin, asked for over and
over. All of that happens in one transaction under `exclusively`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from ingest_assets.storage.account_leases import DUE_STATES
from ingest_assets.storage.schema import ACTIVE, FAILING, NEEDS_RECONNECT, accounts, partition_reports

_UNRESERVED = or_(accounts.c.reserved_until.is_(None), accounts.c.reserved_until <= func.now())
_NOT_READ_NOW = or_(accounts.c.lease_until.is_(None), accounts.c.lease_until < func.now())


class Due(NamedTuple):
    """A workspace with an account to be read."""

    workspace_id: str
    run_alone: bool
    """An account failed or did not finish: it goes on in a run of its own."""


def exclusively(conn: Connection, source: str) -> None:
    """Take the lock on choosing runs for a source, which is held until the transaction ends."""
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"ingest_assets dispatch {source}"))))


def mark_due(conn: Connection, source: str, now: datetime) -> int:
    """Make due whoever waits for the schedule; return how many. Who was due before stays so from then."""
    return conn.execute(
        update(accounts)
        .where(
            accounts.c.source == source,
            accounts.c.state == func.any(list(DUE_STATES)),
            accounts.c.due_at.is_(None),
        )
        .values(due_at=now)
    ).rowcount


def due_workspaces(conn: Connection, source: str, now: datetime) -> list[Due]:
    """Return the workspaces with an account that is due and free, longest waiting first."""
    rows = conn.execute(
        select(accounts.c.workspace_id, func.bool_or(accounts.c.run_alone))
        .where(
            accounts.c.source == source,
            accounts.c.state == func.any(list(DUE_STATES)),
            accounts.c.due_at <= now,
            _UNRESERVED,
            _NOT_READ_NOW,
        )
        .group_by(accounts.c.workspace_id)
        .order_by(
            func.min(accounts.c.due_at),
            func.min(accounts.c.last_sync_at).asc().nulls_first(),
            accounts.c.workspace_id,
        )
    )
    return [Due(*row) for row in rows]


def unshown_failures(conn: Connection, source: str, now: datetime) -> list[str]:
    """Return the workspaces of which nothing can be read, not soon either, and that have no red partition.

    A batch run saw it. Where another account can be read, a check tells of the one that cannot.
    """
    sibling = accounts.alias()
    read = exists().where(
        sibling.c.workspace_id == accounts.c.workspace_id,
        sibling.c.source == accounts.c.source,
        sibling.c.state == ACTIVE,
        sibling.c.attempts == 0,
        sibling.c.last_success_at.is_not(None),
    )
    return list(
        conn.execute(
            select(accounts.c.workspace_id)
            .outerjoin(
                partition_reports,
                and_(
                    partition_reports.c.workspace_id == accounts.c.workspace_id,
                    partition_reports.c.source == accounts.c.source,
                ),
            )
            .where(
                accounts.c.source == source,
                accounts.c.state.in_([FAILING, NEEDS_RECONNECT]),
                accounts.c.last_sync_at.is_not(None),
                func.coalesce(accounts.c.due_at <= now, True),
                _UNRESERVED,
                func.coalesce(partition_reports.c.failed, False).is_(False),
                ~read,
            )
            .group_by(accounts.c.workspace_id)
            .order_by(accounts.c.workspace_id)
        ).scalars()
    )


def reservations(conn: Connection, source: str) -> dict[str, int]:
    """Return the reservations that hold, and for how many workspaces each is."""
    rows = conn.execute(
        select(accounts.c.reserved_for, func.count(accounts.c.workspace_id.distinct()))
        .where(accounts.c.source == source, accounts.c.reserved_until > func.now())
        .group_by(accounts.c.reserved_for)
    )
    return dict(rows.all())


def reserve(
    conn: Connection, source: str, keys: Sequence[str], reservation: str, now: datetime, until: datetime
) -> None:
    """Reserve what is due in some workspaces for a run, and what will never be due by itself."""
    wanted = or_(
        accounts.c.due_at <= now,
        and_(accounts.c.due_at.is_(None), accounts.c.state.in_([FAILING, NEEDS_RECONNECT])),
    )
    conn.execute(
        update(accounts)
        .where(accounts.c.source == source, accounts.c.workspace_id == func.any(list(keys)), wanted)
        .values(reserved_for=reservation, reserved_until=until)
    )


def explain(conn: Connection, source: str, now: datetime, reason: str) -> None:
    """Store why accounts wait that are due and did not fail themselves."""
    conn.execute(
        update(accounts)
        .where(
            accounts.c.source == source,
            accounts.c.state == ACTIVE,
            accounts.c.due_at <= now,
            accounts.c.attempts == 0,
            accounts.c.reason.is_distinct_from(reason),
        )
        .values(reason=reason)
    )
