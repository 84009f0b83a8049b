"""Leases by name, for what one process at a time may do: rows instead of advisory locks of a session."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False, comment="what its owner alone may do"),
        sa.Column("owner", sa.Text(), nullable=False, comment="the Dagster run, or the command"),
        sa.Column("token", sa.Uuid(), nullable=False, comment="another one each time that the lease is taken"),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it ends; past: when its owner last gave a sign",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("leases_pkey")),
        schema="ingest",
    )
    # and no policy: it is of all workspaces
    op.execute("alter table ingest.leases enable row level security")


def downgrade() -> None:
    op.drop_table("leases", schema="ingest")
