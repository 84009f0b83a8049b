"""Erased people: a list of keyed hashes that every write honours, and the key of these hashes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "suppressed",
        sa.Column("workspace_id", sa.Text(), nullable=False, comment="the customer; empty: all of them"),
        sa.Column(
            "digest", postgresql.BYTEA(), nullable=False, comment="keyed hash of an address, an id or a name"
        ),
        sa.Column(
            "since", TIME, server_default=sa.text("now()"), nullable=False, comment="when it was put on the list"
        ),
        sa.Column("erased_at", TIME, comment="when all that is stored was looked through; null: not yet"),
        sa.PrimaryKeyConstraint("workspace_id", "digest", name=op.f("suppressed_pkey")),
        schema="ingest",
        comment="People who were erased, as keyed hashes: no write brings them back.",
    )
    op.create_table(
        "suppression_keys",
        sa.Column("name", sa.Text(), nullable=False, comment="people"),
        sa.Column("key", postgresql.JSONB(), nullable=False, comment="sealed: what the hashes are made with"),
        sa.PrimaryKeyConstraint("name", name=op.f("suppression_keys_pkey")),
        schema="ingest",
        comment="The key of the list of erased people, encrypted.",
    )
    for table in ("suppressed", "suppression_keys"):  # and no policy: no reader sees any
        op.execute(f"alter table ingest.{table} enable row level security")


def downgrade() -> None:
    op.drop_table("suppression_keys", schema="ingest")
    op.drop_table("suppressed", schema="ingest")
