"""Accounts: who is connected, who is due, who holds the lease, and what became of the last sync."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Interval,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import (
    ACTIVE,
    COUNTED,
    DISCONNECTED,
    FAILING,
    NEEDS_RECONNECT,
    accounts,
    sync_counts,
    syncs,
    timestamp,
    workspaces,
)

DUE_STATES = (ACTIVE, FAILING)
READ_STATES = (*DUE_STATES, NEEDS_RECONNECT)  # by a sync that a person starts
SUCCEEDED = ("success", "partial")
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
_HELD = and_(accounts.c.account_id == bindparam("held"), accounts.c.lease_token == bindparam("token"))
_RENEW = (
    update(accounts).where(_HELD).values(lease_until=func.clock_timestamp() + bindparam("length", type_=Interval))
)
_RELEASE = update(accounts).where(_HELD).values(lease_until=None, lease_owner=None)
_UNRESERVED: dict[str, Any] = {"reserved_for": None, "reserved_until": None}
_FINISH = (
    update(accounts)
    .where(_HELD)
    .values(
        state_since=case((accounts.c.state == bindparam("next_state"), accounts.c.state_since), else_=func.now()),
        error_since=case(
            (bindparam("failed_with", type_=Text).is_(None), None),
            else_=func.coalesce(accounts.c.error_since, func.now()),
        ),
        lease_until=None,
        lease_owner=None,
        **_UNRESERVED,
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


_FRESH: dict[str, Any] = {
    "attempts": 0,
    "error_kind": None,
    "error_since": None,
    "due_at": None,
    "run_alone": False,
    **_UNRESERVED,
    # a sync that is under way loses its lease: it was started for the account as it was before
    "lease_token": accounts.c.lease_token + 1,
    "lease_until": None,
    "lease_owner": None,
}


@dataclass(frozen=True)
class Lease:
    """The right to write for an account; a higher token has taken it away from a lower one."""

    account_id: int
    token: int

    @classmethod
    def of(cls, row: Row[Any]) -> "Lease":
        return cls(row.account_id, row.lease_token)


def register_workspace(conn: Connection, workspace_id: str) -> None:
    """Add a workspace, or take a removed one back."""
    conn.execute(
        insert(workspaces)
        .values(workspace_id=workspace_id)
        .on_conflict_do_update(index_elements=["workspace_id"], set_={"removed_at": None})
    )


def customers() -> Select[str]:
    """Select the workspaces that were not removed."""
    return select(workspaces.c.workspace_id).where(workspaces.c.removed_at.is_(None))


def workspace_ids(conn: Connection) -> list[str]:
    """Return all workspaces that were not removed, oldest first."""
    ordered = customers().order_by(workspaces.c.created_at, workspaces.c.workspace_id)
    return list(conn.execute(ordered).scalars())


def unknown_workspaces(conn: Connection, names: Sequence[str]) -> list[str]:
    """Return those names, in their order, that are no workspace of ours now."""
    known = set(conn.execute(customers().where(workspaces.c.workspace_id == func.any(list(names)))).scalars())
    return [name for name in dict.fromkeys(names) if name not in known]


def remove_workspace(conn: Connection, workspace_id: str) -> bool:
    """Stop everything of a workspace at once and forget its logins; false if there is none. The data stays."""
    known = conn.execute(
        update(workspaces)
        .where(workspaces.c.workspace_id == workspace_id, workspaces.c.removed_at.is_(None))
        .values(removed_at=func.now())
    ).rowcount
    rows = find_accounts(conn, workspace_ids=[workspace_id])
    set_state(conn, [row.account_id for row in rows], DISCONNECTED, "the workspace was removed")
    return bool(known)


def save_account(conn: Connection, values: Mapping[str, Any]) -> bool:
    """Connect an account, or heal the one that has the same external id; its cursors go on where they were.

    True if the account is new.
    """
    is_new: bool = conn.execute(
        insert(accounts)
        .values(**values)
        .on_conflict_do_update(
            index_elements=["workspace_id", "source", "external_id"],
            set_={
                **{key: values[key] for key in ("name", "credential", "settings")},
                "state": ACTIVE,
                "reason": None,
                "state_since": case((accounts.c.state == ACTIVE, accounts.c.state_since), else_=func.now()),
                **_FRESH,
            },
        )
        .returning(text("xmax = 0"))
    ).scalar_one()
    return is_new


def find_accounts(
    conn: Connection,
    *,
    source: str | None = None,
    workspace_ids: Sequence[str] | None = None,
    name: str | None = None,
    disconnected: bool = False,
) -> Sequence[Row[Any]]:
    """Return whole account rows, without the disconnected ones unless asked."""
    query = select(accounts).order_by(accounts.c.workspace_id, accounts.c.source, accounts.c.account_id)
    if source is not None:
        query = query.where(accounts.c.source == source)
    if workspace_ids is not None:
        query = query.where(accounts.c.workspace_id == func.any(list(workspace_ids)))
    if name is not None:
        query = query.where(accounts.c.name == name)
    if not disconnected:
        query = query.where(accounts.c.state != DISCONNECTED)
    return conn.execute(query).all()


def get_account(conn: Connection, account_id: int) -> Row[Any]:
    """Return an account as it is now."""
    return conn.execute(select(accounts).where(accounts.c.account_id == account_id)).one()


def take_lease(
    conn: Connection, account_id: int, owner: str, length: timedelta, *, now: datetime, reservation: str | None
) -> Row[Any] | None:
    """Begin a sync: return the account as it is now, with its lease's token, or None where it may not be read.

    The same owner may take a lease again. With a `reservation`, an account is not taken that is due later than
    `now`, is reserved for another run (see `queue.reserve`), or needs a new login. Without, a person asks.
    """
    given = {"account": account_id, "owner": owner, "length": length}
    if reservation is None:
        return conn.execute(_TAKE, given).one_or_none()
    return conn.execute(_TAKE_RESERVED, {**given, "now": now, "reservation": reservation}).one_or_none()


def renew_lease(conn: Connection, lease: Lease, length: timedelta) -> bool:
    """Keep the account; false when it was taken away. Locks the row until the transaction ends."""
    return bool(conn.execute(_RENEW, {**_of(lease), "length": length}).rowcount)


def release_lease(conn: Connection, lease: Lease) -> None:
    """Let go without a result on the sync."""
    conn.execute(_RELEASE, _of(lease))


def _of(lease: Lease) -> dict[str, Any]:
    return {"held": lease.account_id, "token": lease.token}


def set_state(conn: Connection, account_ids: Sequence[int], state: str, reason: str | None = None) -> None:
    """Pause, resume or disconnect accounts. Disconnecting forgets the credential and keeps the data."""
    values = {"state": state, "reason": reason, "state_since": func.now(), **_FRESH}
    if state == DISCONNECTED:
        values |= {"credential": {}}
    conn.execute(update(accounts).where(accounts.c.account_id == func.any(list(account_ids))).values(**values))


def finish_sync(conn: Connection, lease: Lease, state: Mapping[str, Any], *, history: Mapping[str, Any]) -> bool:
    """Set the account's next state, let the lease go and write history; false when the lease was lost.

    To be the last of a transaction: all syncs of a source count up the same row.
    """
    columns = {**state, "last_sync_at": history["started_at"]}
    row = conn.execute(
        _FINISH, {**columns, **_of(lease), "next_state": state["state"], "failed_with": state["error_kind"]}
    ).one_or_none()
    if row is None:
        return False
    whose = {"account_id": lease.account_id, "workspace_id": row.workspace_id, "source": row.source}
    conn.execute(_HISTORY, {**whose, **history})
    succeeded = int(history["status"] in SUCCEEDED)
    conn.execute(_COUNT, {"source": row.source, "finished_at": history["finished_at"], "succeeded": succeeded})
    return True
