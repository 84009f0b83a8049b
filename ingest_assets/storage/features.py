"""Features and what they cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_assets.storage.feature_tables import model_batches, model_requests
from ingest_assets.storage.schema import ColumnsView, StoredRow
from ingest_assets.storage.workspaces import customers, with_features

READY, RETRY, REJECTED = "ready", "retry", "rejected"
HAS_TRANSCRIPT = "ready"  # in transcript_state


def _pending(records: Table, features: Table, version: str, now: datetime | None = None) -> Select[Any]:
    """Select customers' conversations whose transcript was not read as it is now, at this version.

    Those whose pause is not over are left out: what failed is asked again later, unless it changed.
    """
    return (
        select(
            records.c.workspace_id,
            records.c.external_id,
            func.max(records.c.occurred_at).label("occurred_at"),
            func.bool_or(func.coalesce(_failed(features, version), False)).label("failed"),
        )
        .outerjoin(
            features,
            and_(
                features.c.workspace_id == records.c.workspace_id,
                features.c.external_id == records.c.external_id,
            ),
        )
        .where(
            records.c.workspace_id.in_(with_features()),
            records.c.deleted_at.is_(None),
            records.c.transcript_state == HAS_TRANSCRIPT,
            or_(
                features.c.external_id.is_(None),
                features.c.version != version,
                and_(features.c.state == RETRY, ~_paused(features, func.now() if now is None else now)),
                ~_as_last_tried(records, features),
            ),
        )
        .group_by(records.c.workspace_id, records.c.external_id)
    )


def _as_last_tried(records: Table, features: Table) -> ColumnElement[bool]:
    again = records.alias()
    return exists(
        select(1)
        .select_from(again)
        .where(
            again.c.workspace_id == features.c.workspace_id,
            again.c.external_id == features.c.external_id,
            again.c.deleted_at.is_(None),
            again.c.content_hash == features.c.record_hash,
        )
    )


def _failed(features: Table, version: str) -> ColumnElement[bool]:
    return and_(features.c.state == RETRY, features.c.version == version)


def _paused(features: Table, now: object) -> ColumnElement[bool]:
    return and_(features.c.retry_at.is_not(None), features.c.retry_at > now)


def pending_conversations(
    conn: Connection,
    records: Table,
    features: Table,
    version: str,
    workspace_id: str,
    now: datetime | None = None,
) -> list[str]:
    """Return a workspace's conversations that are to be read, newest first; those that failed come last."""
    found = _pending(records, features, version, now).where(records.c.workspace_id == workspace_id).subquery()
    ordered = select(found.c.external_id).order_by(found.c.failed, found.c.occurred_at.desc(), found.c.external_id)
    return list(conn.execute(ordered).scalars())


def count_postponed(conn: Connection, features: Table, version: str, workspace_id: str, now: datetime) -> int:
    """Count a workspace's conversations that failed and whose pause is not over."""
    return conn.execute(
        select(func.count()).where(
            features.c.workspace_id == workspace_id, _failed(features, version), _paused(features, now)
        )
    ).scalar_one()


def due_workspaces(
    conn: Connection, records: Table, features: Table, version: str, now: datetime, source: str
) -> list[str]:
    """Return the workspaces that have something to be read by no batch, and nothing that tells to wait."""
    found = _pending(records, features, version, now).subquery()
    waits = exists(
        select(1).where(
            model_requests.c.workspace_id == found.c.workspace_id,
            model_requests.c.wait_until > now,
        )
    )
    gone = select(features.c.workspace_id).where(
        features.c.workspace_id.in_(customers()), _orphaned(records, features)
    )
    batched = exists(
        select(1).where(
            model_batches.c.workspace_id == found.c.workspace_id,
            model_batches.c.source == source,
            model_batches.c.collected_at.is_(None),
            model_batches.c.conversations.has_key(found.c.external_id),
        )
    )
    rows = select(found.c.workspace_id).where(~waits, ~batched).union(gone)
    return sorted(conn.execute(rows).scalars())


def unread_conversations(
    conn: Connection, records: Table, features: Table, before: datetime
) -> Sequence[StoredRow]:
    """Return one row per customer with transcripts that were stored before a moment and were not read.

    Columns: workspace_id, conversations, since. What was read by an older version counts as read, and so does what
    was read and rejected; what failed does not.
    """
    return conn.execute(
        select(
            records.c.workspace_id,
            func.count(records.c.external_id.distinct()).label("conversations"),
            func.min(records.c.updated_at).label("since"),
        )
        .outerjoin(
            features,
            and_(
                features.c.workspace_id == records.c.workspace_id,
                features.c.external_id == records.c.external_id,
            ),
        )
        .where(
            records.c.workspace_id.in_(with_features()),
            records.c.deleted_at.is_(None),
            records.c.transcript_state == HAS_TRANSCRIPT,
            records.c.updated_at < before,
            or_(
                features.c.external_id.is_(None),
                features.c.state == RETRY,
                ~_as_last_tried(records, features),
            ),
        )
        .group_by(records.c.workspace_id)
        .order_by(func.min(records.c.updated_at), records.c.workspace_id)
    ).all()


def without_evidence(conn: Connection, features: Table, since: datetime, share: float) -> Sequence[Any]:
    """Return one row per customer of whose items, found since a moment, more than a share were without evidence.

    Columns: workspace_id, dropped, kept.
    """
    without, kept = func.sum(features.c.dropped), func.sum(func.jsonb_array_length(features.c["items"]))
    return conn.execute(
        select(features.c.workspace_id, without.label("dropped"), kept.label("kept"))
        .where(features.c.workspace_id.in_(customers()), features.c.extracted_at >= since)
        .group_by(features.c.workspace_id)
        .having(without > share * (without + kept))
        .order_by(without.desc(), features.c.workspace_id)
    ).all()


def load_conversation(conn: Connection, records: Table, workspace_id: str, external_id: str) -> StoredRow | None:
    """Return a conversation as it is stored, of the first account that sees it."""
    return conn.execute(
        select(*(records.c[name] for name in ("raw", "occurred_at", "content_hash")))
        .where(
            records.c.workspace_id == workspace_id,
            records.c.external_id == external_id,
            records.c.deleted_at.is_(None),
        )
        .order_by(records.c.account_id)
        .limit(1)
    ).first()


def hold_conversation(conn: Connection, records: Table, read: ColumnsView) -> bool:
    """Keep a conversation as it was read until the transaction ends; False where it is another one by now."""
    same = (
        records.c.workspace_id == read["workspace_id"],
        records.c.external_id == read["external_id"],
        records.c.content_hash == read["record_hash"],
    )
    return (
        conn.execute(select(records.c.external_id).where(*same).limit(1).with_for_update(read=True)).first()
        is not None
    )


def stored_features(conn: Connection, features: Table, workspace_id: str, external_id: str) -> StoredRow | None:
    return conn.execute(
        select(*features.c).where(features.c.workspace_id == workspace_id, features.c.external_id == external_id)
    ).first()


def newest_features(conn: Connection, features: Table, workspace_id: str) -> Sequence[StoredRow]:
    """Return all rows of a workspace, newest conversation first."""
    return conn.execute(
        select(features).where(features.c.workspace_id == workspace_id).order_by(features.c.occurred_at.desc())
    ).all()


def save_features(conn: Connection, features: Table, values: ColumnsView) -> None:
    """Write the columns given; columns that are not given keep what they hold, or begin empty."""
    fresh = {"items": [], "dropped": 0, "attempts": 0, **values, "tried_at": func.now()}
    conn.execute(
        upsert(features)
        .values(fresh)
        .on_conflict_do_update(
            index_elements=["workspace_id", "external_id"], set_={**values, "tried_at": func.now()}
        )
    )


def forget_gone(conn: Connection, records: Table, features: Table, workspace_id: str | None = None) -> int:
    """Delete features of conversations that the vendor shows no more, of one workspace or of all; count them."""
    whose = features.c.workspace_id == workspace_id if workspace_id else features.c.workspace_id.in_(customers())
    return conn.execute(delete(features).where(whose, _orphaned(records, features))).rowcount


def _orphaned(records: Table, features: Table) -> ColumnElement[bool]:
    return ~exists(
        select(1).where(
            records.c.workspace_id == features.c.workspace_id,
            records.c.external_id == features.c.external_id,
            records.c.deleted_at.is_(None),
        )
    )
