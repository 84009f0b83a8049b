"""Gong, Fathom, Gmail, and the tokens that replace each other."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


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
    op.execute("alter table ingest.token_pairs enable row level security")  # and no policy: no reader sees any


def downgrade() -> None:
    op.execute("drop table ingest.token_pairs")
