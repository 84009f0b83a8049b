"""Parts that cannot be read, the version of the parser of each row, and lists of mail as arrays."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

RECORDS = (
    "fathom_sessions",
    "gmail_messages",
    "gmail_threads",
    "gong_calls",
    "gong_users",
    "gong_workspaces",
    "slack_channels",
    "slack_messages",
    "slack_users",
)
CONVERSATIONS = ("fathom_sessions", "gmail_messages", "gmail_threads", "gong_calls", "slack_messages")
TEXTS = postgresql.ARRAY(sa.Text())


def upgrade() -> None:
    op.create_table(
        "unreadable_parts",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "part", sa.Text(), nullable=False, comment="what the account is read by, as its source names it"
        ),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what an operator calls it"),
        sa.Column("code", sa.Text(), nullable=False, comment="the vendor's, for why it cannot be read"),
        sa.Column("action", sa.Text(), nullable=True, comment="what to do about it, in words for an operator"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="failed ones in a row"),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it is asked for again; null: by the next sync",
        ),
        sa.Column("last_tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "left_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when we saw that it was read before and is no longer listed",
        ),
        sa.Column(
            "acknowledged_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when an operator said that this is known",
        ),
        sa.PrimaryKeyConstraint("account_id", "part", name=op.f("unreadable_parts_pkey")),
        schema="ingest",
    )
    # a reader sees the workspace that its session names; the owner sees all
    op.execute("alter table ingest.unreadable_parts enable row level security")
    op.execute(
        "create policy one_workspace on ingest.unreadable_parts for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )
    for table in RECORDS:
        _add(
            table,
            sa.Column(
                "parser_version",
                sa.Integer(),
                server_default="0",
                nullable=False,
                comment="of the program that derived the columns from raw",
            ),
        )
    for table in CONVERSATIONS:
        _add(
            table,
            sa.Column(
                "text_shortened",
                sa.Boolean(),
                server_default="false",
                nullable=False,
                comment="a bound cut the text, or took the layout of its markup away",
            ),
        )
    _add("slack_messages", sa.Column("author_name", sa.Text(), nullable=True, comment="as people were shown it"))
    _mail()


def _mail() -> None:
    op.execute(
        "alter table raw.gmail_messages"
        " alter column label_ids type text[] using string_to_array(label_ids, ','),"  # '' becomes {}
        " alter column recipients type text[] using array_remove(array[recipients], null),"
        " alter column recipients set not null"
    )
    op.execute("comment on column raw.gmail_messages.label_ids is 'sorted'")
    for name, comment in (("cc", "the header Cc"), ("bcc", "the header Bcc, which only sent mail has")):
        _add("gmail_messages", sa.Column(name, TEXTS, server_default="{}", nullable=False, comment=comment))
    _add(
        "gmail_messages",
        sa.Column(
            "new_text",
            sa.Text(),
            nullable=True,
            comment="what is new in this mail, without quotes and signature",
        ),
    )


def _add(table: str, column: sa.Column) -> None:  # type: ignore[type-arg]  # of any type
    op.add_column(table, column, schema="raw")


def downgrade() -> None:
    for name in ("new_text", "bcc", "cc"):
        op.drop_column("gmail_messages", name, schema="raw")
    op.execute(
        "alter table raw.gmail_messages"
        " alter column recipients drop not null,"
        " alter column recipients type text using nullif(array_to_string(recipients, ', '), ''),"
        " alter column label_ids type text using array_to_string(label_ids, ',')"
    )
    op.execute("comment on column raw.gmail_messages.label_ids is 'sorted, separated by commas'")
    op.drop_column("slack_messages", "author_name", schema="raw")
    for table in CONVERSATIONS:
        op.drop_column(table, "text_shortened", schema="raw")
    for table in RECORDS:
        op.drop_column(table, "parser_version", schema="raw")
    op.drop_table("unreadable_parts", schema="ingest")
