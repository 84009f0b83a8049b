"""Workspaces: the customers that we serve, and those that were removed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.accounts import find_accounts, set_state
from ingest_assets.storage.schema import DISCONNECTED, workspaces


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


def with_features() -> Select[str]:
    """Select the customers whose conversations the language model may read."""
    return customers().where(workspaces.c.features_paused_at.is_(None))


def pause_features(conn: Connection, workspace_id: str | None, *, paused: bool) -> int:
    """Let the language model read nothing of a workspace, or of all, or again; return how many changed."""
    now = workspaces.c.features_paused_at
    changed = update(workspaces).where(now.is_(None) if paused else now.is_not(None))
    if workspace_id is not None:
        changed = changed.where(workspaces.c.workspace_id == workspace_id)
    return conn.execute(changed.values(features_paused_at=func.now() if paused else None)).rowcount


def features_paused(conn: Connection) -> dict[str, datetime]:
    """Return since when the language model reads nothing, by workspace."""
    paused = select(workspaces.c.workspace_id, workspaces.c.features_paused_at).where(
        workspaces.c.features_paused_at.is_not(None)
    )
    return {row.workspace_id: row.features_paused_at for row in conn.execute(paused)}


def workspace_ids(conn: Connection) -> list[str]:
    """Return all workspaces that were not removed, oldest first."""
    ordered = customers().order_by(workspaces.c.created_at, workspaces.c.workspace_id)
    return list(conn.execute(ordered).scalars())


def unknown_workspaces(conn: Connection, names: Sequence[str]) -> list[str]:
    """Return those names, in their order, that are no workspace of ours now."""
    known = set(conn.execute(customers().where(workspaces.c.workspace_id == func.any(list(names)))).scalars())
    return [name for name in dict.fromkeys(names) if name not in known]


def is_known(conn: Connection, workspace_id: str) -> bool:
    """Tell whether there is a workspace, be it removed."""
    return conn.execute(select(workspaces).where(workspaces.c.workspace_id == workspace_id)).first() is not None


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
