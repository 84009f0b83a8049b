"""Rows that a vendor shows no more and that wait for a decision."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "held_deletions",
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="of ingest.accounts"),
        sa.Column(
            "table_name", sa.Text(), nullable=False, comment="the table of schema raw that the row stands in"
        ),
        sa.Column("external_id", sa.Text(), nullable=False, comment="the row's"),
        sa.Column(
            "held_id", sa.BigInteger(), sa.Identity(), nullable=False, comment="ours, in the order of being held"
        ),
        sa.Column("workspace_id", sa.Text(), nullable=False, comment="the customer"),
        sa.Column(
            "part", sa.Text(), nullable=False, comment="of the account: a channel, a range of time, the mailbox"
        ),
        sa.Column(
            "flagged",
            sa.Boolean(),
            nullable=False,
            comment="sent as deleted by the vendor, rather than not shown",
        ),
        sa.Column(
            "first_seen_at",
            TIME,
            nullable=False,
            server_default=sa.func.now(),
            comment="when a sync held it first",
        ),
        sa.Column(
            "last_seen_at", TIME, nullable=False, server_default=sa.func.now(), comment="when a sync held it last"
        ),
        sa.Column(
            "decision", sa.Text(), comment="accepted (marked as deleted) or refused (kept); null: it waits for one"
        ),
        sa.Column("decided_at", TIME, comment="when that was decided"),
        sa.Column("review", sa.Text(), comment="the review that was decided on"),
        sa.PrimaryKeyConstraint("account_id", "table_name", "external_id", name=op.f("held_deletions_pkey")),
        schema="ingest",
        comment="Rows that a vendor shows no more, too many to be marked without an operator's decision.",
    )
    op.execute("alter table ingest.held_deletions enable row level security")
    op.execute(
        "create policy one_workspace on ingest.held_deletions for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )


def downgrade() -> None:
    op.drop_table("held_deletions", schema="ingest")
