"""An index by which a thread's replies are found."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_index(
        op.f("slack_messages_account_id_conversation_id_idx"),
        "slack_messages",
        ["account_id", "conversation_id"],
        schema="raw",
    )


def downgrade() -> None:
    op.drop_index(op.f("slack_messages_account_id_conversation_id_idx"), "slack_messages", schema="raw")
