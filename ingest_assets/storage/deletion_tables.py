"""The table of rows that a vendor shows no more and that no sync may mark by itself."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Table, Text, func

from ingest_assets.storage.schema import metadata, timestamp

ACCEPTED, REFUSED = "accepted", "refused"
WAITING = "waiting"  # without a decision

held_deletions = Table(
    "held_deletions",
    metadata,
    Column("account_id", BigInteger, primary_key=True, comment="of ingest.accounts"),
    Column("table_name", Text, primary_key=True, comment="the table of schema raw that the row stands in"),
    Column("external_id", Text, primary_key=True, comment="the row's"),
    Column("held_id", BigInteger, Identity(), nullable=False, comment="ours, in the order of being held"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("part", Text, nullable=False, comment="of the account: a channel, a range of time, the mailbox"),
    Column("flagged", Boolean, nullable=False, comment="sent as deleted by the vendor, rather than not shown"),
    Column(
        "first_seen_at", timestamp, nullable=False, server_default=func.now(), comment="when a sync held it first"
    ),
    Column(
        "last_seen_at", timestamp, nullable=False, server_default=func.now(), comment="when a sync held it last"
    ),
    Column("decision", Text, comment="accepted (marked as deleted) or refused (kept); null: it waits for one"),
    Column("decided_at", timestamp, comment="when that was decided"),
    Column("review", Text, comment="the review that was decided on"),
    schema="ingest",
    comment="Rows that a vendor shows no more, too many to be marked without an operator's decision.",
)
