"""What was shown of each partition, workspaces that were removed, and the API calls of a sync as a column."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "workspaces",
        sa.Column(
            "removed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null while the workspace is a customer",
        ),
        schema="ingest",
    )
    op.add_column(
        "syncs", sa.Column("api_calls", sa.Integer(), server_default="0", nullable=False), schema="ingest"
    )
    op.execute("update ingest.syncs set api_calls = coalesce((summary ->> 'api_calls')::int, 0)")
    op.create_index(
        "syncs_finished_at_idx",
        "syncs",
        ["finished_at"],
        schema="ingest",
        postgresql_include=["account_id", "source", "status", "error_kind", "api_calls"],
    )
    op.create_table(
        "partition_reports",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False, comment="the partition is red"),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "source", name=op.f("partition_reports_pkey")),
        schema="ingest",
    )
    # a reader sees the workspace that its session names; the owner sees all
    op.execute("alter table ingest.partition_reports enable row level security")
    op.execute(
        "create policy one_workspace on ingest.partition_reports for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )


def downgrade() -> None:
    op.execute("drop table ingest.partition_reports")
    op.execute("drop index ingest.syncs_finished_at_idx")
    op.execute("alter table ingest.syncs drop column api_calls")
    op.execute("alter table ingest.workspaces drop column removed_at")
