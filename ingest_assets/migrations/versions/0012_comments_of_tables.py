"""Comments: every table says what a row of it is, and every column of schema ingest what it holds."""

from collections.abc import Mapping

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES: dict[str, str] = {
    "features.fathom_session_features": "What the language model found in a conversation, with its evidence.",
    "features.gong_call_features": "What the language model found in a conversation, with its evidence.",
    "features.model_batches": "Batches of OpenAI's Batch API, under way or collected.",
    "features.model_requests": "Answers of the language model, with tokens and dollars.",
    "ingest.accounts": "Logins of workspaces at sources, and the state of each.",
    "ingest.check_reports": "What Dagster was told last of each check of a workspace.",
    "ingest.incidents": "Incidents: one row for a cause and a subject, over all workspaces.",
    "ingest.leases": "Exclusive rights to do one thing at a time, by name.",
    "ingest.partition_reports": "What Dagster was told last of each partition.",
    "ingest.rejected_records": "Items that could not be parsed or stored, whole, with the reason.",
    "ingest.sync_counts": "Numbers of syncs by the ten minutes in which they ended.",
    "ingest.sync_cursors": "How far each stream of an account was read; committed together with the rows.",
    "ingest.syncs": "Syncs that ended, with their counts.",
    "ingest.token_pairs": "The newest tokens of logins whose refresh tokens work once, encrypted.",
    "ingest.unreadable_parts": "Channels, threads, calls ... that could not be read and were not read since.",
    "ingest.watch": "When incidents were looked for last.",
    "ingest.workspaces": "Customers, removed ones included.",
    "raw.fathom_sessions": "A recorded session; `text` is its transcript, a line for each utterance.",
    "raw.gmail_messages": "A message; `text` is its body without markup and attachments.",
    "raw.gmail_threads": (
        "A thread; `text` is what is new in each of its messages, oldest first, under its sender and time."
    ),
    "raw.gong_calls": "A recorded call; `text` is its transcript, a paragraph for each turn of a speaker.",
    "raw.gong_users": "A person of the company that uses Gong.",
    "raw.gong_workspaces": "A part of the company, as Gong's administrators divided it.",
    "raw.slack_channels": "A channel that the bot is a member of.",
    "raw.slack_messages": "A message, a thread reply or a broadcast reply; `conversation_id` is its thread.",
    "raw.slack_users": "A person or a bot that the workspace's directory knows, or that a message named.",
    "ingest.incident_messages": "Messages about incidents, one row for each receiver.",
}
COLUMNS: dict[str, dict[str, str]] = {
    "features.model_batches": {
        "workspace_id": "the customer",
        "source": "whose conversations it reads",
        "submitted_at": "when it was submitted",
        "collected_at": "when its answers were taken; null while it is under way",
    },
    "features.model_requests": {
        "request_id": "ours",
        "workspace_id": "the customer",
        "source": "whose conversation was asked about",
        "outcome": "answered, or what was wrong",
        "input_tokens": "as the server counted them, or estimated",
        "output_tokens": "as the server counted them, or estimated",
        "dollars": "by the prices in the settings",
        "made_at": "when it was answered",
    },
    "ingest.accounts": {
        "account_id": "ours",
        "workspace_id": "the customer",
        "source": "slack, gong, fathom or gmail",
        "name": "what an operator calls it",
        "settings": "what was chosen when it was connected",
        "state": "active, failing, needs_reconnect, paused or disconnected",
        "state_since": "since when it has this state",
        "lease_owner": "the Dagster run or the command that reads it now",
        "lease_until": "when the lease ends, unless its owner renews it",
        "last_sync_at": "when the last sync began",
        "last_success_at": "when the last complete sync began",
        "created_at": "when it was connected first",
    },
    "ingest.check_reports": {
        "workspace_id": "the customer",
        "source": "slack, gong, fathom or gmail",
        "check_name": "the check",
        "passed": "its result",
        "reason": "why, in words for an operator",
        "reported_at": "when Dagster was told",
    },
    "ingest.incidents": {
        "incident_id": "ours",
        "cause": "vendor_down, login_refused, part_lost ...: docs/operating.md lists them",
        "closed_at": "when it ended; null while it lasts",
        "level_at": "when it reached its level",
    },
    "ingest.partition_reports": {
        "workspace_id": "the customer",
        "source": "slack, gong, fathom or gmail",
        "reported_at": "when Dagster was told",
    },
    "ingest.rejected_records": {
        "account_id": "of ingest.accounts",
        "table_name": "the table of schema raw that it belongs to",
        "workspace_id": "the customer",
        "payload": "the item as the vendor sent it, or the beginning of a long one",
        "first_seen_at": "when it was rejected first",
        "last_seen_at": "when it was rejected last",
    },
    "ingest.sync_counts": {
        "source": "slack, gong, fathom or gmail",
        "succeeded": "how many were complete",
        "total": "how many there were",
    },
    "ingest.sync_cursors": {
        "account_id": "of ingest.accounts",
        "workspace_id": "the customer",
        "cursor": "the position, in its source's own form",
        "updated_at": "when it was moved last",
    },
    "ingest.syncs": {
        "sync_id": "ours",
        "account_id": "of ingest.accounts",
        "workspace_id": "the customer",
        "source": "slack, gong, fathom or gmail",
        "status": "success, partial, failed or skipped",
        "error_kind": "what it failed with, transient for one; null: it did not fail",
        "started_at": "when it began",
        "finished_at": "when it ended",
        "api_calls": "requests to the vendor",
        "summary": "counts by kind, requests by method, parts that could not be read",
    },
    "ingest.token_pairs": {"refreshed_at": "when they were traded for newer ones"},
    "ingest.unreadable_parts": {
        "account_id": "of ingest.accounts",
        "workspace_id": "the customer",
        "since": "when it could not be read for the first time",
        "last_tried_at": "when it was asked for last",
    },
    "ingest.watch": {"name": "what looks"},
    "ingest.workspaces": {
        "workspace_id": "its name, which is its partition key in Dagster",
        "created_at": "when it was connected first",
    },
    "ingest.incident_messages": {
        "message_id": "ours",
        "incident_id": "what it tells of",
        "level": "of the incident when it was written",
        "receiver": "slack, webhook or mail",
        "created_at": "when it was written",
        "attempts": "how often it was tried",
        "next_try_at": "before then it is not tried again",
    },
}


def upgrade() -> None:
    _comment(TABLES, COLUMNS)


def downgrade() -> None:
    _comment(dict.fromkeys(TABLES), {table: dict.fromkeys(columns) for table, columns in COLUMNS.items()})


def _comment(tables: Mapping[str, str | None], of_columns: Mapping[str, Mapping[str, str | None]]) -> None:
    for fullname, comment in tables.items():
        schema, table = fullname.split(".")
        op.create_table_comment(table, comment, schema=schema)
    for fullname, columns in of_columns.items():
        schema, table = fullname.split(".")
        for column, comment in columns.items():
            op.alter_column(table, column, comment=comment, schema=schema)
