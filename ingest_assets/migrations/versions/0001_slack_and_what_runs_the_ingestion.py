"""Slack and what runs the ingestion."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


TABLES = (
    "ingest.workspaces",
    "ingest.accounts",
    "ingest.sync_cursors",
    "ingest.rejected_records",
    "ingest.syncs",
    "ingest.check_reports",
    "raw.slack_messages",
    "raw.slack_users",
    "raw.slack_channels",
)


def upgrade() -> None:
    op.execute("create schema if not exists raw")
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "external_id", sa.Text(), nullable=False, comment="the vendor's id of the login, a Slack team for one"
        ),
        sa.Column(
            "credential",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="per field: a sealed value or the name of a variable",
        ),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why the state is not active, in words for an operator"
        ),
        sa.Column("state_since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "attempts", sa.Integer(), server_default="0", nullable=False, comment="failures since the last success"
        ),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: due at the next tick of its schedule",
        ),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column(
            "lease_token", sa.BigInteger(), server_default="0", nullable=False, comment="fences off zombies"
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('active', 'failing', 'needs_reconnect', 'paused', 'disconnected')",
            name=op.f("accounts_state_check"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("accounts_pkey")),
        sa.UniqueConstraint(
            "workspace_id", "source", "external_id", name=op.f("accounts_workspace_id_source_external_id_key")
        ),
        sa.UniqueConstraint("workspace_id", "source", "name", name=op.f("accounts_workspace_id_source_name_key")),
        schema="ingest",
    )
    op.create_table(
        "check_reports",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "source", "check_name", name=op.f("check_reports_pkey")),
        schema="ingest",
    )
    op.create_table(
        "rejected_records",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column(
            "item_key", sa.Text(), nullable=False, comment="the item's external_id, or a hash where it has none"
        ),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=False, comment="which field was wrong and how, without its value"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "table_name", "item_key", name=op.f("rejected_records_pkey")),
        schema="ingest",
    )
    op.create_table(
        "sync_cursors",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "stream", sa.Text(), nullable=False, comment="what has a position of its own, a Slack channel for one"
        ),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "stream", name=op.f("sync_cursors_pkey")),
        schema="ingest",
    )
    op.create_table(
        "syncs",
        sa.Column("sync_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="the Dagster run, or the command"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_kind", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("sync_id", name=op.f("syncs_pkey")),
        schema="ingest",
    )
    op.create_index(
        op.f("syncs_account_id_started_at_idx"),
        "syncs",
        ["account_id", "started_at"],
        unique=False,
        schema="ingest",
    )
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("workspace_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", name=op.f("workspaces_slug_check")),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("workspaces_pkey")),
        schema="ingest",
    )
    op.create_table(
        "slack_channels",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("is_private", sa.Boolean(), nullable=True),
        sa.Column("is_archived", sa.Boolean(), nullable=True),
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
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("slack_channels_pkey")),
        schema="raw",
    )
    op.create_table(
        "slack_messages",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column(
            "ts",
            sa.Text(),
            nullable=False,
            comment="Slack's time and id of the message, unique within its channel",
        ),
        sa.Column("thread_ts", sa.Text(), nullable=True, comment="the parent's ts; equal to ts on a parent"),
        sa.Column(
            "in_channel", sa.Boolean(), nullable=False, comment="shown in the channel itself, not only in a thread"
        ),
        sa.Column(
            "author_id", sa.Text(), nullable=True, comment="a user, else a bot, else the name a bot gave itself"
        ),
        sa.Column("subtype", sa.Text(), nullable=True),
        sa.Column("edited_ts", sa.Text(), nullable=True),
        sa.Column(
            "reply_count",
            sa.BigInteger(),
            nullable=True,
            comment="of a parent, as of the last complete read of its thread",
        ),
        sa.Column(
            "latest_reply",
            sa.Text(),
            nullable=True,
            comment="of a parent, as of the last complete read of its thread",
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
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("slack_messages_pkey")),
        schema="raw",
    )
    op.create_index(
        op.f("slack_messages_account_id_channel_id_ts_idx"),
        "slack_messages",
        ["account_id", "channel_id", "ts"],
        unique=False,
        schema="raw",
    )
    op.create_index(
        op.f("slack_messages_workspace_id_occurred_at_idx"),
        "slack_messages",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="raw",
    )
    op.create_table(
        "slack_users",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True, comment="display name, else real name, else handle"),
        sa.Column("email", sa.Text(), nullable=True, comment="needs the scope users:read.email"),
        sa.Column("is_bot", sa.Boolean(), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=True),
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
        sa.PrimaryKeyConstraint("account_id", "external_id", name=op.f("slack_users_pkey")),
        schema="raw",
    )
    for table in TABLES:  # a reader sees the workspace that its session names; the owner sees all
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy one_workspace on {table} for select "
            "using (workspace_id = current_setting('ingest.workspace_id', true))"
        )


def downgrade() -> None:
    op.execute("drop schema raw cascade")
    for table in TABLES:
        if table.startswith("ingest."):
            op.execute(f"drop table {table}")
