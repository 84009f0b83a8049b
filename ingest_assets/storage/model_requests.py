"""What was asked of the language model: every request and its price, and the batches whose answers are to come."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, insert, select, update

from ingest_assets.storage.feature_tables import model_batches, model_requests
from ingest_assets.storage.schema import ColumnsView, StoredRow
from ingest_assets.storage.workspaces import customers


def told_to_wait(conn: Connection, now: datetime) -> set[str]:
    """Return the workspaces that a run left with a moment before which no other one makes sense."""
    return set(
        conn.execute(select(model_requests.c.workspace_id).where(model_requests.c.wait_until > now)).scalars()
    )


def spent(conn: Connection, workspace_id: str, since: datetime) -> tuple[int, Decimal]:
    """Sum up a workspace's tokens and US dollars since a moment."""
    row = conn.execute(
        select(
            func.coalesce(func.sum(model_requests.c.input_tokens + model_requests.c.output_tokens), 0),
            func.coalesce(func.sum(model_requests.c.dollars), 0),
        ).where(model_requests.c.workspace_id == workspace_id, model_requests.c.made_at >= since)
    ).one()
    return int(row[0]), Decimal(row[1])


def typical_answer(conn: Connection) -> int | None:
    """Return how many tokens an answer had on average; None where there was none yet."""
    answered = model_requests.c.outcome == "answered", model_requests.c.output_tokens > 0
    found = conn.execute(select(func.avg(model_requests.c.output_tokens)).where(*answered)).scalar_one()
    return None if found is None else round(found)


def save_request(conn: Connection, values: ColumnsView) -> None:
    conn.execute(insert(model_requests).values(values))


def live_batches(conn: Connection, source: str, workspace_id: str | None = None) -> Sequence[StoredRow]:
    """Return the batches whose answers are not stored, of one workspace or of all that are customers."""
    of = model_batches.c.workspace_id
    whose = of.in_(customers()) if workspace_id is None else of == workspace_id
    return conn.execute(
        select(*model_batches.c)
        .where(model_batches.c.source == source, model_batches.c.collected_at.is_(None), whose)
        .order_by(model_batches.c.submitted_at)
    ).all()


def open_batch(conn: Connection, values: ColumnsView) -> None:
    conn.execute(insert(model_batches).values(values))


def name_batch(conn: Connection, batch_key: str, batch_id: str) -> None:
    conn.execute(update(model_batches).where(model_batches.c.batch_key == batch_key).values(batch_id=batch_id))


def close_batches(conn: Connection, batch_keys: Sequence[str]) -> None:
    conn.execute(
        update(model_batches)
        .where(model_batches.c.batch_key == func.any(list(batch_keys)))
        .values(collected_at=func.now())
    )
