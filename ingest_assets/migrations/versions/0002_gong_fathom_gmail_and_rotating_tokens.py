"""Gong, Fathom, Gmail, and the tokens that replace each other."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TABLES = (
    "raw.fathom_sessions",
    "raw.gmail_messages",
    "raw.gmail_threads",
    "raw.gong_calls",
    "raw.gong_users",
    "raw.gong_workspaces",
)


def upgrade() -> None:
    op.create_table(
        "token_pairs",
        sa.Column(
            "chain", sa.Text(), nullable=False, comment="hash of the refresh token that the login began with"
        ),
        sa.Column(
            "pair",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="sealed: the newest pair; null until the first refresh",
        ),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("chain", name=op.f("token_pairs_pkey")),
        schema="ingest",
    )
    op.create_table(
        "fathom_sessions",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="of the recording's entry at Fathom, which lists filter by",
        ),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("meeting_type", sa.Text(), nullable=True),
        sa.Column("recorded_by", sa.Text(), nullable=True, comment="whose recording it is, by mail address"),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True, comment="Fathom's own, in Markdown, always English"),
        sa.Column("action_items", sa.BigInteger(), nullable=False, comment="how many there are"),
        sa.Column(
            "transcript_state", sa.Text(), nullable=False, comment="listed, pending, ready, none or withdrawn"
        ),
        sa.Column(
            "details_hash", sa.Text(), nullable=False, comment="of the session without its transcript and summary"
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "external_id", name=op.f("fathom_sessions_pkey")),
        schema="raw",
    )
    op.create_index(
        op.f("fathom_sessions_account_id_created_at_idx"),
        "fathom_sessions",
        ["account_id", "created_at"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("fathom_sessions_account_id_transcript_state_idx"),
        "fathom_sessions",
        ["account_id", "transcript_state"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("fathom_sessions_workspace_id_occurred_at_idx"),
        "fathom_sessions",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_table(
        "gmail_messages",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column(
            "rfc822_message_id",
            sa.Text(),
            nullable=True,
            comment="the header Message-ID: the same mail in every mailbox",
        ),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("recipients", sa.Text(), nullable=True, comment="the header To"),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("label_ids", sa.Text(), nullable=False, comment="sorted, separated by commas"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Gmail's estimate, attachments included"),
        sa.Column("attachment_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "body_omitted",
            sa.Boolean(),
            nullable=False,
            comment="the message is larger than GMAIL_MAX_MESSAGE_BYTES",
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("gmail_messages_pkey")),
        schema="raw",
    )
    op.create_index(
        op.f("gmail_messages_account_id_thread_id_idx"),
        "gmail_messages",
        ["account_id", "thread_id"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("gmail_messages_rfc822_message_id_idx"),
        "gmail_messages",
        ["rfc822_message_id"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("gmail_messages_workspace_id_occurred_at_idx"),
        "gmail_messages",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_table(
        "gmail_threads",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_id", sa.Text(), nullable=True, comment="as of the read that last changed this row"),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("gmail_threads_pkey")),
        schema="raw",
    )
    op.create_index(
        op.f("gmail_threads_account_id_occurred_at_idx"),
        "gmail_threads",
        ["account_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("gmail_threads_workspace_id_occurred_at_idx"),
        "gmail_threads",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_table(
        "gong_calls",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("duration_seconds", sa.BigInteger(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column(
            "scope", sa.Text(), nullable=True, comment="Internal, External or Unknown, as Gong judges the parties"
        ),
        sa.Column("is_private", sa.Boolean(), nullable=True),
        sa.Column("primary_user_id", sa.Text(), nullable=True),
        sa.Column("gong_workspace_id", sa.Text(), nullable=True),
        sa.Column(
            "transcript_state", sa.Text(), nullable=False, comment="listed, pending, ready, none or withdrawn"
        ),
        sa.Column("details_hash", sa.Text(), nullable=False, comment="of the call without its transcript"),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("gong_calls_pkey")),
        schema="raw",
    )
    op.create_index(
        op.f("gong_calls_account_id_occurred_at_idx"),
        "gong_calls",
        ["account_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("gong_calls_account_id_transcript_state_idx"),
        "gong_calls",
        ["account_id", "transcript_state"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("gong_calls_workspace_id_occurred_at_idx"),
        "gong_calls",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_table(
        "gong_users",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("gong_users_pkey")),
        schema="raw",
    )
    op.create_table(
        "gong_workspaces",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "raw",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the item as the vendor sent it",
        ),
        sa.Column(
            "content_hash", postgresql.BYTEA(), nullable=False, comment="of raw without its volatile fields"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that the vendor shows the item no more",
        ),
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("gong_workspaces_pkey")),
        schema="raw",
    )
    # ### end Alembic commands ###
    op.execute("alter table ingest.token_pairs enable row level security")  # and no policy: no reader sees any
    for table in TABLES:  # a reader sees the workspace that its session names; the owner sees all
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy one_workspace on {table} for select "
            "using (workspace_id = current_setting('ingest.workspace_id', true))"
        )


def downgrade() -> None:
    for table in (*TABLES, "ingest.token_pairs"):
        op.execute(f"drop table {table}")
