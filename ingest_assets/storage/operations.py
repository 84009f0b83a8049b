"""Who did what, and when: commands that change something, from their beginning to their exit code."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, Identity, Integer, Table, Text, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB

from ingest_assets.storage.schema import ColumnsView, StoredRow, metadata, timestamp

operations = Table(
    "operations",
    metadata,
    Column("operation_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column("workspace_id", Text, comment="the customer; null: several, or all"),
    Column("source", Text, comment="the vendor by its name, or features; null: it is not about one"),
    Column("command", Text, nullable=False, comment="the command, as it is typed"),
    Column("options", JSONB, nullable=False, comment="its switches, numbers and choices; no text, no secret"),
    Column("who", Text, nullable=False, comment="INGEST_OPERATOR, or the system's user and machine"),
    Column("began_at", timestamp, nullable=False, server_default=func.now(), comment="when it began"),
    Column("ended_at", timestamp, comment="when it ended; null: it is under way, or was killed"),
    Column("exit_code", Integer, comment="0 done, 1 with something left, 2 refused, 130 interrupted"),
    schema="ingest",
    comment="Commands that change something: who, what, when, and how they ended.",
)


def begin(conn: Connection, values: ColumnsView) -> int:
    """Note that a command begins, and return the operation's id."""
    made: int = conn.execute(insert(operations).values(**values).returning(operations.c.operation_id)).scalar_one()
    return made


def end(conn: Connection, operation_id: int, exit_code: int) -> bool:
    """Note how it ended; false where the note is gone with its workspace."""
    ended = {"ended_at": func.clock_timestamp(), "exit_code": exit_code}
    of_it = operations.c.operation_id == operation_id
    return bool(conn.execute(update(operations).where(of_it).values(**ended)).rowcount)


def newest(conn: Connection, workspace_id: str | None, most: int) -> Sequence[StoredRow]:
    """Return the newest operations, of one workspace or of all."""
    query = select(operations).order_by(operations.c.operation_id.desc()).limit(most)
    if workspace_id is not None:
        query = query.where(operations.c.workspace_id == workspace_id)
    return conn.execute(query).all()
