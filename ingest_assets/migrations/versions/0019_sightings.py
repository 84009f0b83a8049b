"""Items that several logins of a workspace see."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "sightings",
        sa.Column(
            "account_id",
            sa.BigInteger(),
            nullable=False,
            comment="of ingest.accounts: the login that sees the item",
        ),
        sa.Column(
            "table_name",
            sa.Text(),
            nullable=False,
            comment="the table of schema raw that the item's row stands in",
        ),
        sa.Column("external_id", sa.Text(), nullable=False, comment="the item's id at the vendor"),
        sa.Column("workspace_id", sa.Text(), nullable=False, comment="the customer"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="when it was seen first",
        ),
        sa.PrimaryKeyConstraint("account_id", "table_name", "external_id", name=op.f("sightings_pkey")),
        schema="ingest",
        comment="Items that a login sees and whose row another login of the workspace holds, or gave to this one.",
    )
    op.create_index(
        op.f("sightings_workspace_id_table_name_external_id_idx"),
        "sightings",
        ["workspace_id", "table_name", "external_id"],
        schema="ingest",
    )
    op.execute("alter table ingest.sightings enable row level security")
    op.execute(
        "create policy one_workspace on ingest.sightings for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )


def downgrade() -> None:
    op.drop_table("sightings", schema="ingest")
