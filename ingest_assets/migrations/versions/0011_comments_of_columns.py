"""Comments: every column of raw and features says what it holds, as Dagster's column schema does."""

from collections.abc import Mapping

from alembic import op

revision = "0011"
down_revision = "0010"

EVERY_RECORD = {
    "workspace_id": "the customer",
    "account_id": "of ingest.accounts: whose login read the item",
    "external_id": "the item's id at the vendor",
    "first_seen_at": "when it came",
    "updated_at": "when the row changed",
}
SAID = {
    "conversation_id": "the thread, call or session that the item belongs to",
    "occurred_at": "when it was sent or began; of a mail thread, its newest message",
    "text": "what a person would have read",
}
FEATURES = {
    "workspace_id": "the customer",
    "occurred_at": "when the conversation began",
    "title": "of the conversation, as the vendor has it",
    "model": "the language model that answered",
    "summary": "three to five sentences by the model",
    "extracted_at": "when these items were found",
    "tried_at": "when it was last read",
}
COMMENTS: dict[str, dict[str, str]] = {
    "raw.slack_messages": {
        **EVERY_RECORD,
        **SAID,
        "channel_id": "where it was posted, an external_id of raw.slack_channels",
        "subtype": "Slack's, null for what a person or bot simply said",
        "edited_ts": "Slack's time of the last edit",
    },
    "raw.slack_users": {
        **EVERY_RECORD,
        "is_bot": "whether it is no person",
        "is_deleted": "whether Slack has deactivated it",
    },
    "raw.slack_channels": {
        **EVERY_RECORD,
        "name": "without #",
        "is_private": "whether only its members see it",
        "is_archived": "whether it is closed to new messages",
    },
    "raw.gong_calls": {
        **EVERY_RECORD,
        **SAID,
        "title": "of the call",
        "duration_seconds": "of the recording",
        "direction": "Inbound, Outbound, Conference or Unknown",
        "is_private": "whether Gong shows it to its participants only",
        "primary_user_id": "the host, an external_id of raw.gong_users",
        "gong_workspace_id": "an external_id of raw.gong_workspaces",
    },
    "raw.gong_users": {
        **EVERY_RECORD,
        "name": "first and last name",
        "email": "the mail address",
        "is_active": "whether the user may log in",
    },
    "raw.gong_workspaces": {
        **EVERY_RECORD,
        "name": "of the part",
    },
    "raw.fathom_sessions": {
        **EVERY_RECORD,
        **SAID,
        "title": "of the session, else of the calendar's event",
        "meeting_type": "as Fathom names it",
        "url": "where Fathom shows the session",
    },
    "raw.gmail_threads": {
        **EVERY_RECORD,
        **SAID,
        "subject": "of its first message",
        "message_count": "how many are kept, without spam, trash and drafts",
        "began_at": "when its first message was sent",
    },
    "raw.gmail_messages": {
        **EVERY_RECORD,
        **SAID,
        "thread_id": "an external_id of raw.gmail_threads",
        "sender": "the header From",
        "subject": "the header Subject",
        "attachment_count": "how many there are; their contents are not stored",
    },
    "features.gong_call_features": FEATURES,
    "features.fathom_session_features": FEATURES,
}


def upgrade() -> None:
    _comment(COMMENTS)


def downgrade() -> None:
    _comment({table: dict.fromkeys(columns) for table, columns in COMMENTS.items()})


def _comment(tables: Mapping[str, Mapping[str, str | None]]) -> None:
    for fullname, columns in tables.items():
        schema, table = fullname.split(".")
        for column, comment in columns.items():
            op.alter_column(table, column, comment=comment, schema=schema)
