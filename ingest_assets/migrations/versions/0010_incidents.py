"""Incidents over all workspaces, the messages that tell of them, and what an account's syncs fail with."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _account_columns()
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="a source, model, or empty: everything"),
        sa.Column("severity", sa.Text(), nullable=False, comment="critical is told in quiet hours, too"),
        sa.Column("since", TIME, nullable=False, comment="when the trouble began"),
        sa.Column("seen_at", TIME, nullable=False, comment="when it was last seen"),
        sa.Column("opened_at", TIME, comment="null until the trouble has the minimum age"),
        sa.Column("closed_at", TIME),
        sa.Column(
            "level",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="1, and one more for each escalation",
        ),
        sa.Column("level_at", TIME, nullable=False),
        sa.Column("workspaces", postgresql.ARRAY(sa.Text()), nullable=False, comment="that it touches now"),
        sa.Column(
            "told",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="that it touched when it reached its level",
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("incidents_pkey")),
        schema="ingest",
    )
    op.create_index(
        "incidents_open",
        "incidents",
        ["cause", "subject"],
        unique=True,
        schema="ingest",
        postgresql_where=sa.text("closed_at is null"),
    )
    _messages()
    op.create_table(
        "watch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("looked_at", TIME, nullable=False, comment="a gap means that nobody watched"),
        sa.PrimaryKeyConstraint("name", name=op.f("watch_pkey")),
        schema="ingest",
    )
    for table in ("incidents", "incident_messages", "watch"):  # and no policy: they are of all workspaces
        op.execute(f"alter table ingest.{table} enable row level security")
    op.create_index(
        "model_requests_wait_until_idx",
        "model_requests",
        ["wait_until"],
        schema="features",
        postgresql_where=sa.text("wait_until is not null"),
    )


def _account_columns() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column(
            "error_kind", sa.Text(), comment="what the last sync failed with, as in syncs; null: it did not fail"
        ),
        sa.Column("error_since", TIME, comment="when the first of the failures in a row ended"),
    ]
    for column in columns:
        op.add_column("accounts", column, schema="ingest")
    op.execute(
        "update ingest.accounts a set error_kind = (select s.error_kind from ingest.syncs s"
        " where s.account_id = a.account_id order by s.started_at desc limit 1),"
        " error_since = coalesce(last_success_at, created_at) where attempts > 0"
    )


def _messages() -> None:
    op.create_table(
        "incident_messages",
        sa.Column("message_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="opened, escalated or recovered"),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column(
            "facts",
            postgresql.JSONB(),
            comment="what is told; the first try decides, so that a second one sends the same",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", TIME, nullable=False),
        sa.Column("claimed_until", TIME, comment="until when one sender alone may try"),
        sa.Column("claim", sa.Uuid(), comment="another one for each try"),
        sa.Column(
            "answer", sa.Text(), comment="to the last try; null after a try: its sender was killed, or is at it"
        ),
        sa.Column("sent_at", TIME, comment="when the receiver accepted it"),
        sa.Column("dropped_at", TIME, comment="when it was given up, or had become pointless"),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["ingest.incidents.incident_id"],
            name=op.f("incident_messages_incident_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("incident_messages_pkey")),
        sa.UniqueConstraint(
            "incident_id",
            "kind",
            "level",
            "receiver",
            name=op.f("incident_messages_incident_id_kind_level_receiver_key"),
        ),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_index("model_requests_wait_until_idx", "model_requests", schema="features")
    for table in ("watch", "incident_messages", "incidents"):
        op.drop_table(table, schema="ingest")
    for name in ("error_since", "error_kind"):
        op.drop_column("accounts", name, schema="ingest")
