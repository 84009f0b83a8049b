"""The tables of schema `features`: what the language model found, and what was asked of it."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from ingest_assets.storage.schema import metadata, timestamp


def feature_table(name: str) -> Table:
    """Define `features.<name>`: what was found in a conversation, one row for each that was read or tried."""
    return Table(
        name,
        metadata,
        Column("workspace_id", Text, primary_key=True, comment="the customer"),
        Column("external_id", Text, primary_key=True, comment="of the row in schema raw"),
        Column("occurred_at", timestamp, nullable=False, comment="when the conversation began"),
        Column("title", Text, nullable=False, comment="of the conversation, as the vendor has it"),
        Column("state", Text, nullable=False, comment="ready, retry, or rejected: the next change tries again"),
        Column("reason", Text, comment="why it is not ready"),
        Column("attempts", Integer, nullable=False, comment="answers in a row that could not be used"),
        Column(
            "failures",
            Integer,
            nullable=False,
            server_default="0",
            comment="runs in a row in which the model did not answer",
        ),
        Column("retry_at", timestamp, comment="before then the conversation is not asked about again"),
        Column("version", Text, nullable=False, comment="of prompt, schema and model, as last tried"),
        Column("record_hash", BYTEA, nullable=False, comment="content_hash of the row in raw, as last tried"),
        Column("transcript_key", Text, comment="what the features were drawn from: transcript and version"),
        Column("model", Text, comment="the language model that answered"),
        Column("summary", Text, comment="three to five sentences by the model"),
        Column("items", JSONB, nullable=False, comment="each with quote, speaker, side, start and end (ms)"),
        Column("dropped", Integer, nullable=False, comment="items whose quote does not stand in the transcript"),
        Column("extracted_at", timestamp, comment="when these items were found"),
        Column("tried_at", timestamp, nullable=False, server_default=func.now(), comment="when it was last read"),
        CheckConstraint("state in ('ready', 'retry', 'rejected')", name="state"),
        schema="features",
        comment="What the language model found in a conversation, with its evidence.",
    )


model_batches = Table(
    "model_batches",
    metadata,
    Column("batch_key", Text, primary_key=True, comment="ours; the batch carries it as metadata"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("source", Text, nullable=False, comment="whose conversations it reads"),
    Column("batch_id", Text, comment="the vendor's; null while it is being submitted"),
    Column("conversations", JSONB, nullable=False, comment="external_ids of those that it is to read"),
    Column("input_tokens", BigInteger, nullable=False, comment="estimated"),
    Column("output_tokens", BigInteger, nullable=False, comment="estimated"),
    Column("submitted_at", timestamp, nullable=False, server_default=func.now(), comment="when it was submitted"),
    Column("collected_at", timestamp, comment="when its answers were taken; null while it is under way"),
    schema="features",
    comment="Batches of OpenAI's Batch API, under way or collected.",
)


model_requests = Table(
    "model_requests",
    metadata,
    Column("request_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("source", Text, nullable=False, comment="whose conversation was asked about"),
    Column("external_id", Text, comment="null where a whole run had to stop"),
    Column("owner", Text, nullable=False, comment="the Dagster run, or the command"),
    Column("outcome", Text, nullable=False, comment="answered, or what was wrong"),
    Column(
        "input_tokens",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="as the server counted them, or estimated",
    ),
    Column(
        "output_tokens",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="as the server counted them, or estimated",
    ),
    Column("dollars", Numeric, nullable=False, server_default="0", comment="by the prices in the settings"),
    Column("made_at", timestamp, nullable=False, server_default=func.now(), comment="when it was answered"),
    Column("wait_until", timestamp, comment="before then no schedule starts the workspace's extraction"),
    Index(None, "workspace_id", "made_at"),
    Index("model_requests_wait_until_idx", "wait_until", postgresql_where=text("wait_until is not null")),
    schema="features",
    comment="Answers of the language model, with tokens and dollars.",
)
