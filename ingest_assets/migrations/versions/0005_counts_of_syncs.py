"""Syncs counted as they end, by source and ten minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "sync_counts",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="the beginning of ten minutes"),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "since", name=op.f("sync_counts_pkey")),
        schema="ingest",
    )
    # and no policy: it is of all workspaces
    op.execute("alter table ingest.sync_counts enable row level security")
    op.execute(
        "insert into ingest.sync_counts (source, since, succeeded, total)"
        " select source, date_bin('10 minutes', finished_at, 'epoch') as since,"
        " count(*) filter (where status in ('success', 'partial')), count(*) from ingest.syncs"
        " group by source, since"
    )


def downgrade() -> None:
    op.drop_table("sync_counts", schema="ingest")
