"""Who did what, and when; what is paused with all others; features that are paused."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.BigInteger(), sa.Identity(), nullable=False, comment="ours"),
        sa.Column("workspace_id", sa.Text(), comment="the customer; null: several, or all"),
        sa.Column(
            "source",
            sa.Text(),
            comment="the vendor by its name, or features; null: it is not about one",
        ),
        sa.Column("command", sa.Text(), nullable=False, comment="the command, as it is typed"),
        sa.Column(
            "options",
            postgresql.JSONB(),
            nullable=False,
            comment="its switches, numbers and choices; no text, no secret",
        ),
        sa.Column("who", sa.Text(), nullable=False, comment="INGEST_OPERATOR, or the system's user and machine"),
        sa.Column("began_at", TIME, nullable=False, server_default=sa.func.now(), comment="when it began"),
        sa.Column("ended_at", TIME, comment="when it ended; null: it is under way, or was killed"),
        sa.Column("exit_code", sa.Integer(), comment="0 done, 1 with something left, 2 refused, 130 interrupted"),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("operations_pkey")),
        schema="ingest",
        comment="Commands that change something: who, what, when, and how they ended.",
    )
    op.execute("alter table ingest.operations enable row level security")
    op.execute(
        "create policy one_workspace on ingest.operations for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )
    op.add_column(
        "accounts",
        sa.Column("paused_with", sa.Text(), comment="all: with all of its source; null: by itself, or not"),
        schema="ingest",
    )
    op.add_column(
        "workspaces",
        sa.Column("features_paused_at", TIME, comment="since when the language model reads nothing of it"),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_column("workspaces", "features_paused_at", schema="ingest")
    op.drop_column("accounts", "paused_with", schema="ingest")
    op.drop_table("operations", schema="ingest")
