"""What the processes that sync can open: the command `doctor` runs in another one, maybe on another machine."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "process_reports",
        sa.Column("kind", sa.Text(), nullable=False, comment="code location, or run"),
        sa.Column("host", sa.Text(), nullable=False, comment="the name of its machine"),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False, comment="when it looked last"),
        sa.Column(
            "missing",
            sa.ARRAY(sa.Text()),
            nullable=False,
            comment="variables that stored logins name and that are not set there",
        ),
        sa.Column(
            "keys", sa.ARRAY(sa.Text()), nullable=False, comment="digests of its INGEST_ENCRYPTION_KEYS, in order"
        ),
        sa.PrimaryKeyConstraint("kind", "host", name=op.f("process_reports_pkey")),
        schema="ingest",
        comment="What the processes that sync can open of stored logins.",
    )
    op.execute("alter table ingest.process_reports enable row level security")  # and no policy: no reader sees any


def downgrade() -> None:
    op.drop_table("process_reports", schema="ingest")
