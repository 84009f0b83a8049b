"""Incidents, messages about them, and when they were looked for last."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from ingest_assets.storage.schema import metadata, timestamp

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column(
        "cause",
        Text,
        nullable=False,
        comment="vendor_down, login_refused, part_lost ...: docs/operating.md lists them",
    ),
    Column("subject", Text, nullable=False, comment="a source, model, or empty: everything"),
    Column("severity", Text, nullable=False, comment="critical is told in quiet hours, too"),
    Column("since", timestamp, nullable=False, comment="when the trouble began"),
    Column("seen_at", timestamp, nullable=False, comment="when it was last seen"),
    Column("opened_at", timestamp, comment="null until the trouble has the minimum age"),
    Column("closed_at", timestamp, comment="when it ended; null while it lasts"),
    Column("level", Integer, nullable=False, server_default="1", comment="1, and one more for each escalation"),
    Column("level_at", timestamp, nullable=False, comment="when it reached its level"),
    Column("workspaces", ARRAY(Text), nullable=False, comment="that it touches now"),
    Column("told", ARRAY(Text), nullable=False, comment="that it touched when it reached its level"),
    Index("incidents_open", "cause", "subject", unique=True, postgresql_where=text("closed_at is null")),
    schema="ingest",
    comment="Incidents: one row for a cause and a subject, over all workspaces.",
)

incident_messages = Table(
    "incident_messages",
    metadata,
    Column("message_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column(
        "incident_id",
        BigInteger,
        ForeignKey("ingest.incidents.incident_id", ondelete="CASCADE"),
        nullable=False,
        comment="what it tells of",
    ),
    Column("kind", Text, nullable=False, comment="opened, escalated or recovered"),
    Column("level", Integer, nullable=False, comment="of the incident when it was written"),
    Column("receiver", Text, nullable=False, comment="slack, webhook or mail"),
    Column("created_at", timestamp, nullable=False, comment="when it was written"),
    Column("facts", JSONB, comment="what is told; the first try decides, so that a second one sends the same"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="how often it was tried"),
    Column("next_try_at", timestamp, nullable=False, comment="before then it is not tried again"),
    Column("claimed_until", timestamp, comment="until when one sender alone may try"),
    Column("claim", Uuid, comment="another one for each try"),
    Column("answer", Text, comment="to the last try; null after a try: its sender was killed, or is at it"),
    Column("sent_at", timestamp, comment="when the receiver accepted it"),
    Column("dropped_at", timestamp, comment="when it was given up, or had become pointless"),
    UniqueConstraint("incident_id", "kind", "level", "receiver"),
    schema="ingest",
    comment="Messages about incidents, one row for each receiver.",
)

watch = Table(
    "watch",
    metadata,
    Column("name", Text, primary_key=True, comment="what looks"),
    Column("looked_at", timestamp, nullable=False, comment="a gap means that nobody watched"),
    schema="ingest",
    comment="When incidents were looked for last.",
)
