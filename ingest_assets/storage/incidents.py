"""Incidents and the messages that tell of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select, true, update

from ingest_assets.storage.incident_statement import statement
from ingest_assets.storage.incident_tables import incident_messages, incidents, watch
from ingest_assets.storage.schema import Columns, ColumnsView, StoredRow

WATCH = "incidents"
NAMED = 10  # workspaces in a message; the others are counted


def exclusively(conn: Connection) -> None:
    """Take the lock on incidents and their messages, which is held until the transaction ends."""
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtext("ingest_assets incidents"))))


def look(conn: Connection, tables: Mapping[str, Table], given: ColumnsView) -> StoredRow:
    """Open, escalate and close incidents and note what is to be told; return how many of each."""
    exclusively(conn)
    return conn.execute(statement(tables), {**given, "name": WATCH}).one()


def list_incidents(conn: Connection, *, closed: bool = False) -> Sequence[StoredRow]:
    """Return the incidents that are open, or all that ever opened, newest first, with what became of messages."""
    told = (
        select(
            func.jsonb_agg(
                func.jsonb_build_object(
                    "kind", incident_messages.c.kind,
                    "level", incident_messages.c.level,
                    "receiver", incident_messages.c.receiver,
                    "attempts", incident_messages.c.attempts,
                    "answer", incident_messages.c.answer,
                    "sent_at", incident_messages.c.sent_at,
                    "dropped_at", incident_messages.c.dropped_at,
                )
            )
        )
        .where(incident_messages.c.incident_id == incidents.c.incident_id)
        .scalar_subquery()
    )  # fmt: skip
    query = (
        select(incidents, told.label("messages"))
        .where(incidents.c.opened_at.is_not(None))
        .order_by(incidents.c.opened_at.desc(), incidents.c.incident_id.desc())
    )
    return conn.execute(query if closed else query.where(incidents.c.closed_at.is_(None))).all()


def last_look(conn: Connection) -> datetime | None:
    """Return when somebody looked for incidents last."""
    return conn.execute(select(watch.c.looked_at).where(watch.c.name == WATCH)).scalar()


def claim(conn: Connection, receiver: str, now: datetime, length: timedelta, *, quiet: bool) -> StoredRow | None:
    """Take the next message to a receiver, so that no other sender tries it meanwhile; None if none is due.

    Committed before the message is sent: after a crash it is known that it may have arrived. The first try
    decides what is told. Messages of one incident are sent in their order. `quiet`: only critical ones.
    """
    exclusively(conn)
    earlier = incident_messages.alias()
    waits = (
        select(1)
        .where(
            earlier.c.incident_id == incident_messages.c.incident_id,
            earlier.c.receiver == receiver,
            earlier.c.message_id < incident_messages.c.message_id,
            earlier.c.sent_at.is_(None),
            earlier.c.dropped_at.is_(None),
        )
        .exists()
    )
    loud: ColumnElement[bool] = incidents.c.severity == "critical" if quiet else true()
    due = (
        select(incident_messages.c.message_id, incident_messages.c.answer.label("last_answer"))
        .join(incidents, incidents.c.incident_id == incident_messages.c.incident_id)
        .where(
            incident_messages.c.receiver == receiver,
            incident_messages.c.sent_at.is_(None),
            incident_messages.c.dropped_at.is_(None),
            incident_messages.c.next_try_at <= now,
            func.coalesce(incident_messages.c.claimed_until <= now, True),
            loud,
            ~waits,
        )
        .order_by(incident_messages.c.next_try_at, incident_messages.c.message_id)
        .limit(1)
        .subquery("due")
    )
    return conn.execute(
        update(incident_messages)
        .where(incident_messages.c.message_id == due.c.message_id)
        .where(incidents.c.incident_id == incident_messages.c.incident_id)
        .values(
            claim=uuid4(),
            claimed_until=now + length,
            attempts=incident_messages.c.attempts + 1,
            answer=None,
            facts=func.coalesce(incident_messages.c.facts, _facts()),
        )
        .returning(
            *incident_messages.c, incidents.c.cause, incidents.c.subject, incidents.c.severity, due.c.last_answer
        )
    ).one_or_none()


def _facts() -> Any:
    is_open = incidents.c.closed_at.is_(None)
    workspaces, told = (
        incidents.c.workspaces,
        incidents.c.told,
    )  # a recovery names what was touched when it was told
    return func.jsonb_build_object(
        "since", incidents.c.since,
        "seen_at", incidents.c.seen_at,
        "opened_at", incidents.c.opened_at,
        "closed_at", incidents.c.closed_at,
        "count", case((is_open, func.cardinality(workspaces)), else_=func.cardinality(told)),
        "workspaces", func.to_jsonb(case((is_open, workspaces[1:NAMED]), else_=told[1:NAMED])),
    )  # fmt: skip


def answered(
    conn: Connection, message: StoredRow, now: datetime, answer: str, *, next_try_at: datetime | None
) -> None:
    """Note what a receiver answered to a message that this sender claimed; `next_try_at`: it did not accept it."""
    values: Columns = {"answer": answer, "claimed_until": None}
    values |= {"sent_at": now} if next_try_at is None else {"next_try_at": next_try_at}
    conn.execute(
        update(incident_messages)
        .where(
            and_(incident_messages.c.message_id == message.message_id, incident_messages.c.claim == message.claim)
        )
        .values(**values)
    )


def postpone(conn: Connection, receiver: str, until: datetime) -> None:
    """Try no message to a receiver before a moment."""
    conn.execute(
        update(incident_messages)
        .where(
            incident_messages.c.receiver == receiver,
            incident_messages.c.sent_at.is_(None),
            incident_messages.c.dropped_at.is_(None),
        )
        .values(next_try_at=func.greatest(incident_messages.c.next_try_at, until))
    )


def undelivered(conn: Connection) -> Sequence[StoredRow]:
    """Count messages by receiver: waiting, of these failing (tried in vain), and given up."""
    waiting = and_(incident_messages.c.sent_at.is_(None), incident_messages.c.dropped_at.is_(None))
    failed = and_(incident_messages.c.dropped_at.is_not(None), incident_messages.c.attempts > 0)
    return conn.execute(
        select(
            incident_messages.c.receiver,
            func.count().filter(waiting).label("waiting"),
            func.count().filter(waiting, incident_messages.c.attempts > 0).label("failing"),
            func.count().filter(failed).label("given_up"),
        ).group_by(incident_messages.c.receiver)
    ).all()
