"""How far the sync of an account has come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column(
        "accounts",
        sa.Column(
            "stage",
            postgresql.JSONB(),
            comment="how far the sync under way has come: parts done, items, requests; null between syncs",
        ),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_column("accounts", "stage", schema="ingest")
