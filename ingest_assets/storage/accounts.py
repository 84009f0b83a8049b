"""Accounts: who is connected, with which login and settings, and in which state."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import ACTIVE, DISCONNECTED, Columns, ColumnsView, StoredRow, accounts

UNRESERVED: Columns = {"reserved_for": None, "reserved_until": None}
_FRESH: Columns = {
    "attempts": 0,
    "error_kind": None,
    "error_since": None,
    "due_at": None,
    "run_alone": False,
    **UNRESERVED,
    # a sync that is under way loses its lease: it was started for the account as it was before
    "lease_token": accounts.c.lease_token + 1,
    "lease_until": None,
    "lease_owner": None,
    "stage": None,
    "paused_with": None,
}
ALL = "all"
"""`paused_with` of accounts that were paused with all others of their source."""


def save_account(conn: Connection, values: ColumnsView) -> bool:
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
                "applied": None,
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
) -> Sequence[StoredRow]:
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


def get_account(conn: Connection, account_id: int) -> StoredRow:
    """Return an account as it is now."""
    return conn.execute(select(accounts).where(accounts.c.account_id == account_id)).one()


def set_state(
    conn: Connection,
    account_ids: Sequence[int],
    state: str,
    reason: str | None = None,
    *,
    paused_with: str | None = None,
) -> None:
    """Pause, resume or disconnect accounts. Disconnecting forgets the credential and keeps the data."""
    values = {"state": state, "reason": reason, "state_since": func.now(), **_FRESH, "paused_with": paused_with}
    if state == DISCONNECTED:
        values |= {"credential": {}}
    conn.execute(update(accounts).where(accounts.c.account_id == func.any(list(account_ids))).values(**values))


def note_applied(
    conn: Connection, workspace_id: str, source: str, names: Sequence[str], applied: Columns | None
) -> None:
    """Keep what a file says of accounts, after they were connected so."""
    conn.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == workspace_id,
            accounts.c.source == source,
            accounts.c.name == func.any(list(names)),
        )
        .values(applied=applied)
    )


def set_history(conn: Connection, account_id: int, since: datetime) -> None:
    """Have an account read from a moment on, by its next sync; what was read from before it stays."""
    conn.execute(update(accounts).where(accounts.c.account_id == account_id).values(history_from=since))


def rename_account(conn: Connection, account_id: int, name: str) -> None:
    """Replace what an operator and the vendor call a disconnected account."""
    conn.execute(
        update(accounts)
        .where(accounts.c.account_id == account_id, accounts.c.state == DISCONNECTED)
        .values(name=name, external_id=name)
    )
