"""The right to read an account and to write for it: one sync at a time, whatever becomes of the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Interval, and_, bindparam, func, or_, select, union, update

from ingest_assets.storage.accounts import UNRESERVED
from ingest_assets.storage.schema import (
    ACTIVE,
    FAILING,
    NEEDS_RECONNECT,
    Columns,
    StoredRow,
    accounts,
    leases,
    syncs,
)

DUE_STATES = (ACTIVE, FAILING)
READ_STATES = (*DUE_STATES, NEEDS_RECONNECT)  # by a sync that a person starts
# what follows is made once: to put a statement together takes as long as to execute it
_FREE = or_(
    accounts.c.lease_until.is_(None),
    accounts.c.lease_until < func.now(),
    accounts.c.lease_owner == bindparam("owner"),
)
_TAKE = (
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"), accounts.c.state == func.any(list(READ_STATES)), _FREE)
    .values(
        lease_owner=bindparam("owner"),
        lease_until=func.now() + bindparam("length", type_=Interval),
        lease_token=accounts.c.lease_token + 1,
        stage=bindparam("stage", type_=accounts.c.stage.type),
    )
    .returning(*accounts.c)
)
_TAKE_RESERVED = _TAKE.where(
    accounts.c.state == func.any(list(DUE_STATES)),
    or_(accounts.c.due_at.is_(None), accounts.c.due_at <= bindparam("now")),
    or_(
        accounts.c.reserved_until.is_(None),
        accounts.c.reserved_until <= bindparam("now"),
        accounts.c.reserved_for == bindparam("reservation"),
    ),
)
HELD = and_(accounts.c.account_id == bindparam("held"), accounts.c.lease_token == bindparam("token"))
_LASTS = {"lease_until": func.clock_timestamp() + bindparam("length", type_=Interval)}
_RENEW = update(accounts).where(HELD).values(**_LASTS)
_RENEW_WITH_STAGE = _RENEW.values(stage=bindparam("stage", type_=accounts.c.stage.type))
_RELEASE = update(accounts).where(HELD).values(lease_until=None, lease_owner=None, stage=None)


@dataclass(frozen=True)
class Lease:
    """The right to write for an account; a higher token has taken it away from a lower one."""

    account_id: int
    token: int

    @classmethod
    def of(cls, row: StoredRow) -> "Lease":
        return cls(row.account_id, row.lease_token)

    @property
    def key(self) -> Columns:
        """Return the parameters of `HELD`."""
        return {"held": self.account_id, "token": self.token}


def take_lease(
    conn: Connection,
    account_id: int,
    owner: str,
    length: timedelta,
    *,
    now: datetime,
    reservation: str | None,
    stage: Columns | None = None,
) -> StoredRow | None:
    """Begin a sync: return the account as it is now, with its lease's token, or None where it may not be read.

    The same owner may take a lease again. With a `reservation`, an account is not taken that is due later than
    `now`, is reserved for another run (see `queue.reserve`), or needs a new login. Without, a person asks.
    `stage`: what is told of the sync until it tells more.
    """
    given = {"account": account_id, "owner": owner, "length": length, "stage": stage}
    if reservation is None:
        return conn.execute(_TAKE, given).one_or_none()
    return conn.execute(_TAKE_RESERVED, {**given, "now": now, "reservation": reservation}).one_or_none()


def renew_lease(conn: Connection, lease: Lease, length: timedelta, *, stage: Columns | None = None) -> bool:
    """Keep the account; false when it was taken away. Locks the row until the transaction ends.

    `stage`: how far its sync has come; by default that stays as it is.
    """
    given = {**lease.key, "length": length}
    if stage is None:
        return bool(conn.execute(_RENEW, given).rowcount)
    return bool(conn.execute(_RENEW_WITH_STAGE, {**given, "stage": stage}).rowcount)


def release_lease(conn: Connection, lease: Lease) -> None:
    """Let go without a result on the sync."""
    conn.execute(_RELEASE, lease.key)


def take_away(conn: Connection, account_id: int) -> None:
    """End a sync that is under way: its next page is not committed, and the account is due again."""
    conn.execute(
        update(accounts)
        .where(accounts.c.account_id == account_id, accounts.c.lease_owner.is_not(None))
        .values(
            lease_token=accounts.c.lease_token + 1, lease_until=None, lease_owner=None, stage=None, **UNRESERVED
        )
    )


def silent_owners(conn: Connection, owners: Sequence[str], since: datetime) -> set[str]:
    """Return the owners who held no lease and finished no sync since a moment."""
    among = func.any(list(owners))
    alive = conn.execute(
        union(
            select(accounts.c.lease_owner).where(
                accounts.c.lease_owner == among, accounts.c.lease_until > func.now()
            ),
            select(leases.c.owner).where(leases.c.owner == among, leases.c.until >= since),
            select(syncs.c.owner).where(syncs.c.owner == among, syncs.c.finished_at >= since),
        )
    ).scalars()
    return set(owners) - set(alive)
