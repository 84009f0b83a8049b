"""The tables that run the ingestion (schema `ingest`); those of records, features and incidents stand beside.

Every table that a reader may see carries `workspace_id`: row-level security (see the migrations) shows it one
workspace.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

Columns = dict[str, Any]
"""Values of a row by column."""
ColumnsView = Mapping[str, Any]
"""The same where they are only read."""
StoredRow = Row[Any]
"""A row that a query returned, with its columns as attributes."""

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

ACTIVE: Final = "active"
FAILING: Final = "failing"
NEEDS_RECONNECT: Final = "needs_reconnect"
PAUSED: Final = "paused"
DISCONNECTED: Final = "disconnected"
STATES: Final = (ACTIVE, FAILING, NEEDS_RECONNECT, PAUSED, DISCONNECTED)

COUNTED: Final = timedelta(minutes=10)
"""Syncs are counted by so much time."""

timestamp = DateTime(timezone=True)

workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace_id", Text, primary_key=True, comment="its name, which is its partition key in Dagster"),
    Column(
        "created_at", timestamp, nullable=False, server_default=func.now(), comment="when it was connected first"
    ),
    Column("removed_at", timestamp, comment="null while the workspace is a customer"),
    Column("features_paused_at", timestamp, comment="since when the language model reads nothing of it"),
    # a workspace is a Dagster partition key, which may hold neither comma nor space
    CheckConstraint("workspace_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", name="slug"),
    schema="ingest",
    comment="Customers, removed ones included.",
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("source", Text, nullable=False, comment="the vendor, by the name that `connect` takes"),
    Column("name", Text, nullable=False, comment="what an operator calls it"),
    Column("external_id", Text, nullable=False, comment="the vendor's id of the login, a Slack team for one"),
    Column("credential", JSONB, nullable=False, comment="per field: a sealed value or the name of a variable"),
    Column("settings", JSONB, nullable=False, comment="what was chosen when it was connected"),
    Column("history_from", timestamp, comment="from when on it is read; null: as the source's HISTORY_DAYS says"),
    Column(
        "applied",
        JSONB(none_as_null=True),
        comment="what a file of `apply` says of it, secrets by reference; null: it was connected by hand",
    ),
    Column(
        "state",
        Text,
        nullable=False,
        server_default=ACTIVE,
        comment="active, failing, needs_reconnect, paused or disconnected",
    ),
    Column("reason", Text, comment="why the state is not active, in words for an operator"),
    Column(
        "state_since", timestamp, nullable=False, server_default=func.now(), comment="since when it has this state"
    ),
    Column("paused_with", Text, comment="all: with all of its source; null: by itself, or not"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="failures since the last success"),
    Column("error_kind", Text, comment="what the last sync failed with, as in syncs; null: it did not fail"),
    Column("error_since", timestamp, comment="when the first of the failures in a row ended"),
    Column("due_at", timestamp, comment="when it is to be read again; null: at the next tick of its schedule"),
    Column("run_alone", Boolean, nullable=False, server_default="false", comment="it failed or did not finish"),
    Column("reserved_for", Text, comment="the run that was asked for, by a tag of it"),
    Column("reserved_until", timestamp, comment="until when that run alone may begin"),
    Column("lease_owner", Text, comment="the Dagster run or the command that reads it now"),
    Column("lease_token", BigInteger, nullable=False, server_default="0", comment="fences off zombies"),
    Column("lease_until", timestamp, comment="when the lease ends, unless its owner renews it"),
    Column(
        "stage",
        JSONB(none_as_null=True),
        comment="how far the sync under way has come: parts done, items, requests; null between syncs",
    ),
    Column("last_sync_at", timestamp, comment="when the last sync began"),
    Column("last_success_at", timestamp, comment="when the last complete sync began"),
    Column(
        "created_at", timestamp, nullable=False, server_default=func.now(), comment="when it was connected first"
    ),
    UniqueConstraint("workspace_id", "source", "external_id"),
    UniqueConstraint("workspace_id", "source", "name"),
    CheckConstraint("state in ({})".format(", ".join(f"'{state}'" for state in STATES)), name="state"),
    schema="ingest",
    comment="Logins of workspaces at sources, and the state of each.",
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True, comment="what its owner alone may do"),
    Column("owner", Text, nullable=False, comment="the Dagster run, or the command"),
    Column("token", Uuid, nullable=False, comment="another one each time that the lease is taken"),
    Column("until", timestamp, nullable=False, comment="when it ends; past: when its owner last gave a sign"),
    schema="ingest",
    comment="Exclusive rights to do one thing at a time, by name.",
)

sync_cursors = Table(
    "sync_cursors",
    metadata,
    Column("account_id", BigInteger, primary_key=True, comment="of ingest.accounts"),
    Column("stream", Text, primary_key=True, comment="what has a position of its own, a Slack channel for one"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("cursor", JSONB, nullable=False, comment="the position, in its source's own form"),
    Column("updated_at", timestamp, nullable=False, server_default=func.now(), comment="when it was moved last"),
    schema="ingest",
    comment="How far each stream of an account was read; committed together with the rows.",
)

rejected_records = Table(
    "rejected_records",
    metadata,
    Column("account_id", BigInteger, primary_key=True, comment="of ingest.accounts"),
    Column("table_name", Text, primary_key=True, comment="the table of schema raw that it belongs to"),
    Column("item_key", Text, primary_key=True, comment="the item's external_id, or a hash where it has none"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column(
        "payload", JSONB, nullable=False, comment="the item as the vendor sent it, or the beginning of a long one"
    ),
    Column("error", Text, nullable=False, comment="which field was wrong and how, without its value"),
    Column(
        "first_seen_at", timestamp, nullable=False, server_default=func.now(), comment="when it was rejected first"
    ),
    Column(
        "last_seen_at", timestamp, nullable=False, server_default=func.now(), comment="when it was rejected last"
    ),
    schema="ingest",
    comment="Items that could not be parsed or stored, whole, with the reason.",
)

unreadable_parts = Table(
    "unreadable_parts",
    metadata,
    Column("account_id", BigInteger, primary_key=True, comment="of ingest.accounts"),
    Column("part", Text, primary_key=True, comment="what the account is read by, as its source names it"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("name", Text, nullable=False, comment="what an operator calls it"),
    Column("code", Text, nullable=False, comment="the vendor's, for why it cannot be read"),
    Column("action", Text, comment="what to do about it, in words for an operator"),
    Column("since", timestamp, nullable=False, comment="when it could not be read for the first time"),
    Column("attempts", Integer, nullable=False, comment="failed ones in a row"),
    Column("due_at", timestamp, comment="when it is asked for again; null: by the next sync"),
    Column("last_tried_at", timestamp, nullable=False, comment="when it was asked for last"),
    Column("left_at", timestamp, comment="when we saw that it was read before and is no longer listed"),
    Column("acknowledged_at", timestamp, comment="when an operator said that this is known"),
    schema="ingest",
    comment="Channels, threads, calls ... that could not be read and were not read since.",
)

suppressed = Table(
    "suppressed",
    metadata,
    Column("workspace_id", Text, primary_key=True, comment="the customer; empty: all of them"),
    Column("digest", BYTEA, primary_key=True, comment="keyed hash of an address, an id or a name"),
    Column("since", timestamp, nullable=False, server_default=func.now(), comment="when it was put on the list"),
    Column("erased_at", timestamp, comment="when all that is stored was looked through; null: not yet"),
    schema="ingest",
    comment="People who were erased, as keyed hashes: no write brings them back.",
)

suppression_keys = Table(
    "suppression_keys",
    metadata,
    Column("name", Text, primary_key=True, comment="people"),
    Column("key", JSONB, nullable=False, comment="sealed: what the hashes are made with"),
    schema="ingest",
    comment="The key of the list of erased people, encrypted.",
)

syncs = Table(
    "syncs",
    metadata,
    Column("sync_id", BigInteger, Identity(), primary_key=True, comment="ours"),
    Column("account_id", BigInteger, nullable=False, comment="of ingest.accounts"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("source", Text, nullable=False, comment="the vendor, by the name that `connect` takes"),
    Column("owner", Text, nullable=False, comment="the Dagster run, or the command"),
    Column("status", Text, nullable=False, comment="success, partial, failed or skipped"),
    Column("error_kind", Text, comment="what it failed with, transient for one; null: it did not fail"),
    Column("started_at", timestamp, nullable=False, comment="when it began"),
    Column("finished_at", timestamp, nullable=False, comment="when it ended"),
    Column("api_calls", Integer, nullable=False, server_default="0", comment="requests to the vendor"),
    Column(
        "summary",
        JSONB,
        nullable=False,
        comment="counts by kind, requests by method, parts that could not be read",
    ),
    Index(None, "account_id", "started_at"),
    # what health, status and metrics sum up, without reading a summary
    Index(
        "syncs_finished_at_idx",
        "finished_at",
        postgresql_include=["account_id", "source", "status", "error_kind", "api_calls"],
    ),
    schema="ingest",
    comment="Syncs that ended, with their counts.",
)

sync_counts = Table(
    "sync_counts",
    metadata,
    Column("source", Text, primary_key=True, comment="the vendor, by the name that `connect` takes"),
    Column("since", timestamp, primary_key=True, comment="the beginning of ten minutes"),
    Column("succeeded", Integer, nullable=False, comment="how many were complete"),
    Column("total", Integer, nullable=False, comment="how many there were"),
    schema="ingest",
    comment="Numbers of syncs by the ten minutes in which they ended.",
)
"""Syncs by the time at which they ended: a week of many workspaces is millions of rows in `syncs`."""

check_reports = Table(
    "check_reports",
    metadata,
    Column("workspace_id", Text, primary_key=True, comment="the customer"),
    Column("source", Text, primary_key=True, comment="the vendor, by the name that `connect` takes"),
    Column("check_name", Text, primary_key=True, comment="the check"),
    Column("passed", Boolean, nullable=False, comment="its result"),
    Column("reason", Text, nullable=False, comment="why, in words for an operator"),
    Column("reported_at", timestamp, nullable=False, server_default=func.now(), comment="when Dagster was told"),
    schema="ingest",
    comment="What Dagster was told last of each check of a workspace.",
)


partition_reports = Table(
    "partition_reports",
    metadata,
    Column("workspace_id", Text, primary_key=True, comment="the customer"),
    Column("source", Text, primary_key=True, comment="the vendor, by the name that `connect` takes"),
    Column("failed", Boolean, nullable=False, comment="the partition is red"),
    Column("reported_at", timestamp, nullable=False, comment="when Dagster was told"),
    schema="ingest",
    comment="What Dagster was told last of each partition.",
)


token_pairs = Table(
    "token_pairs",
    metadata,
    Column("chain", Text, primary_key=True, comment="hash of the refresh token that the login began with"),
    Column("pair", JSONB, comment="sealed: the newest pair; null until the first refresh"),
    Column("refreshed_at", timestamp, comment="when they were traded for newer ones"),
    schema="ingest",
    comment="The newest tokens of logins whose refresh tokens work once, encrypted.",
)
