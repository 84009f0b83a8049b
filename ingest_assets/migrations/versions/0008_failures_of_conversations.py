"""Conversations about which the model did not answer: how often in a row, and when they are asked again."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = ("fathom_session_features", "gong_call_features")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "failures",
                sa.Integer(),
                server_default="0",
                nullable=False,
                comment="runs in a row in which the model did not answer",
            ),
            schema="features",
        )
        op.add_column(
            table,
            sa.Column(
                "retry_at",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="before then the conversation is not asked about again",
            ),
            schema="features",
        )
        op.alter_column(
            table,
            "attempts",
            existing_type=sa.Integer(),
            existing_nullable=False,
            comment="answers in a row that could not be used",
            existing_comment="failed ones in a row",
            schema="features",
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "retry_at", schema="features")
        op.drop_column(table, "failures", schema="features")
        op.alter_column(
            table,
            "attempts",
            existing_type=sa.Integer(),
            existing_nullable=False,
            comment="failed ones in a row",
            existing_comment="answers in a row that could not be used",
            schema="features",
        )
