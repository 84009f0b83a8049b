"""Features of calls and sessions, and what they cost."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

TABLES = (
    "features.fathom_session_features",
    "features.gong_call_features",
    "features.model_batches",
    "features.model_requests",
)


def upgrade() -> None:
    op.execute("create schema if not exists features")
    op.create_table(
        "fathom_session_features",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False, comment="of the row in schema raw"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="ready, retry, or rejected: the next change tries again"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it is not ready"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="failed ones in a row"),
        sa.Column("version", sa.Text(), nullable=False, comment="of prompt, schema and model, as last tried"),
        sa.Column(
            "record_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="content_hash of the row in raw, as last tried",
        ),
        sa.Column(
            "transcript_key",
            sa.Text(),
            nullable=True,
            comment="what the features were drawn from: transcript and version",
        ),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column(
            "items",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each with quote, speaker, side, start and end (ms)",
        ),
        sa.Column(
            "dropped", sa.Integer(), nullable=False, comment="items whose quote does not stand in the transcript"
        ),
        sa.Column("extracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('ready', 'retry', 'rejected')", name=op.f("fathom_session_features_state_check")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "external_id", name=op.f("fathom_session_features_pkey")),
        schema="features",
    )
    op.create_table(
        "gong_call_features",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False, comment="of the row in schema raw"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="ready, retry, or rejected: the next change tries again"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it is not ready"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="failed ones in a row"),
        sa.Column("version", sa.Text(), nullable=False, comment="of prompt, schema and model, as last tried"),
        sa.Column(
            "record_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="content_hash of the row in raw, as last tried",
        ),
        sa.Column(
            "transcript_key",
            sa.Text(),
            nullable=True,
            comment="what the features were drawn from: transcript and version",
        ),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column(
            "items",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each with quote, speaker, side, start and end (ms)",
        ),
        sa.Column(
            "dropped", sa.Integer(), nullable=False, comment="items whose quote does not stand in the transcript"
        ),
        sa.Column("extracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('ready', 'retry', 'rejected')", name=op.f("gong_call_features_state_check")),
        sa.PrimaryKeyConstraint("workspace_id", "external_id", name=op.f("gong_call_features_pkey")),
        schema="features",
    )
    op.create_table(
        "model_batches",
        sa.Column("batch_key", sa.Text(), nullable=False, comment="ours; the batch carries it as metadata"),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=True, comment="the vendor's; null while it is being submitted"),
        sa.Column(
            "conversations",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="external_ids of those that it is to read",
        ),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False, comment="estimated"),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False, comment="estimated"),
        sa.Column("submitted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("batch_key", name=op.f("model_batches_pkey")),
        schema="features",
    )
    op.create_table(
        "model_requests",
        sa.Column("request_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True, comment="null where a whole run had to stop"),
        sa.Column("owner", sa.Text(), nullable=False, comment="the Dagster run, or the command"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dollars", sa.Numeric(), server_default="0", nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "wait_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="before then no schedule starts the workspace's extraction",
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("model_requests_pkey")),
        schema="features",
    )
    op.create_index(
        op.f("model_requests_workspace_id_made_at_idx"),
        "model_requests",
        ["workspace_id", "made_at"],
        unique=False,
        schema="features",
    )
    for table in TABLES:  # a reader sees the workspace that its session names; the owner sees all
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy one_workspace on {table} for select "
            "using (workspace_id = current_setting('ingest.workspace_id', true))"
        )


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop table {table}")
    op.execute("drop schema features")
