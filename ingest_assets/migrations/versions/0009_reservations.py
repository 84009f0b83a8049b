"""Accounts: when they are due, and for which run they are reserved, each in a column of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.alter_column(
        "accounts",
        "next_attempt_at",
        new_column_name="due_at",
        comment="when it is to be read again; null: at the next tick of its schedule",
        schema="ingest",
    )
    columns: list[sa.Column[Any]] = [
        sa.Column(
            "run_alone",
            sa.Boolean,
            nullable=False,
            server_default="false",
            comment="it failed or did not finish",
        ),
        sa.Column("reserved_for", sa.Text, comment="the run that was asked for, by a tag of it"),
        sa.Column("reserved_until", sa.DateTime(timezone=True), comment="until when that run alone may begin"),
    ]
    for column in columns:
        op.add_column("accounts", column, schema="ingest")
    op.execute("update ingest.accounts set run_alone = last_sync_at is distinct from last_success_at")


def downgrade() -> None:
    for name in ("reserved_until", "reserved_for", "run_alone"):
        op.drop_column("accounts", name, schema="ingest")
    op.alter_column(
        "accounts",
        "due_at",
        new_column_name="next_attempt_at",
        comment="null: due at the next tick of its schedule",
        schema="ingest",
    )
