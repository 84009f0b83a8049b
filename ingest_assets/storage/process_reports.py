"""What each process that syncs can open of stored logins, as it says itself: other processes cannot know."""

import hashlib
import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ARRAY, Column, Connection, Engine, Table, Text, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import StoredRow, metadata, timestamp

CODE_LOCATION, RUN = "code location", "run"
KEPT = timedelta(days=7)  # the name of a pod's machine comes once
DIGEST_BYTES = 8

process_reports = Table(
    "process_reports",
    metadata,
    Column("kind", Text, primary_key=True, comment="code location, or run"),
    Column("host", Text, primary_key=True, comment="the name of its machine"),
    Column("reported_at", timestamp, nullable=False, comment="when it looked last"),
    Column(
        "missing",
        ARRAY(Text),
        nullable=False,
        comment="variables that stored logins name and that are not set there",
    ),
    Column("keys", ARRAY(Text), nullable=False, comment="digests of its INGEST_ENCRYPTION_KEYS, in order"),
    schema="ingest",
    comment="What the processes that sync can open of stored logins.",
)
_NAMED = text("""
    select distinct field.value ->> 'env' from ingest.accounts, jsonb_each(credential) field
    where state <> 'disconnected' and field.value ? 'env'
""")


def digest_of(key: str) -> str:
    """Return what tells a key from another one, and tells nothing of it: a key is 32 random bytes."""
    return hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES, person=b"ingest key").hexdigest()


def report_process(engine: Engine, kind: str, encryption_keys: str, environ: Mapping[str, str]) -> None:
    """Write which variables of stored logins are not set in this process, and which keys it has."""
    keys = [digest_of(key.strip()) for key in encryption_keys.split(",") if key.strip()]
    with engine.begin() as conn:
        missing = sorted(name for name in conn.execute(_NAMED).scalars() if not environ.get(name))
        told = {"reported_at": func.now(), "missing": missing, "keys": keys}
        statement = insert(process_reports).values(kind=kind, host=socket.gethostname(), **told)
        conn.execute(statement.on_conflict_do_update(index_elements=["kind", "host"], set_=told))
        conn.execute(delete(process_reports).where(process_reports.c.reported_at < func.now() - KEPT))


def find_process_reports(conn: Connection) -> Sequence[StoredRow]:
    """Return all reports, newest first."""
    return conn.execute(select(process_reports).order_by(process_reports.c.reported_at.desc())).all()
