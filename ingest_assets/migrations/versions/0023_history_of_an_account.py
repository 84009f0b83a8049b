"""From when on an account is read, where it is not as the source's setting says."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "accounts",
        sa.Column(
            "history_from", TIME, comment="from when on it is read; null: as the source's HISTORY_DAYS says"
        ),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_column("accounts", "history_from", schema="ingest")
