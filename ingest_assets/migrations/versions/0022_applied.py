"""What a file of `apply` says of an account."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column(
        "accounts",
        sa.Column(
            "applied",
            postgresql.JSONB(),
            comment="what a file of `apply` says of it, secrets by reference; null: it was connected by hand",
        ),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_column("accounts", "applied", schema="ingest")
