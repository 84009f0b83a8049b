"""Versions: what a row of schema raw held before it changed, and what a table held at a moment.

The comment on `source` no longer lists the sources there are.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

TIME = sa.DateTime(timezone=True)
TABLES = (
    "slack_messages",
    "slack_users",
    "slack_channels",
    "gong_calls",
    "gong_users",
    "gong_workspaces",
    "fathom_sessions",
    "gmail_messages",
    "gmail_threads",
)
WITHOUT_TEXT = {"slack_users", "slack_channels", "gong_users", "gong_workspaces"}

SOURCES = ("accounts", "check_reports", "partition_reports", "sync_counts", "syncs")  # of schema ingest

# A row that is written twice in one transaction was never seen as it was in between. Of two transactions that
# write a row, the one that began first may come second, with an earlier now(): it is put behind the other.
KEEP_VERSION = """
create function raw.{function}() returns trigger language plpgsql as $$
begin
    if new.updated_at < old.updated_at and new.updated_at = now() then
        new.updated_at := old.updated_at + interval '1 microsecond';
    end if;
    insert into raw.versions
        (table_name, workspace_id, account_id, external_id, valid_from, valid_to, deleted_at, text, raw)
    values
        (tg_table_name, old.workspace_id, old.account_id, old.external_id, old.updated_at, new.updated_at,
         old.deleted_at, {text}, old.raw);
    return new;
end $$
"""
FUNCTIONS = {"keep_version": "old.text", "keep_version_without_text": "null"}
TRIGGER = """
create trigger keep_version before update on raw.{table} for each row
when (old.updated_at <> new.updated_at) execute function raw.{function}()
"""
AS_OF = """
create function raw.{table}_as_of(moment timestamptz)
returns table (workspace_id text, account_id bigint, external_id text, text text, raw jsonb, since timestamptz)
language sql stable as $$
    select one.workspace_id, one.account_id, one.external_id, {text}, one.raw, one.updated_at
    from raw.{table} as one
    where one.updated_at <= moment and (one.deleted_at is null or one.deleted_at > moment)
    union all
    select v.workspace_id, v.account_id, v.external_id, v.text, v.raw, v.valid_from
    from raw.versions as v
    where v.table_name = '{table}' and v.valid_from <= moment and v.valid_to > moment
        and (v.deleted_at is null or v.deleted_at > moment)
$$
"""


def upgrade() -> None:
    op.create_table(
        "versions",
        sa.Column("version_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("table_name", sa.Text(), nullable=False, comment="of schema raw"),
        sa.Column("workspace_id", sa.Text(), nullable=False, comment="the customer"),
        sa.Column(
            "account_id", sa.BigInteger(), nullable=False, comment="of ingest.accounts: whose login read the item"
        ),
        sa.Column("external_id", sa.Text(), nullable=False, comment="the item's id at the vendor"),
        sa.Column("valid_from", TIME, nullable=False, comment="when the row became as it is here"),
        sa.Column("valid_to", TIME, nullable=False, comment="when it changed"),
        sa.Column("deleted_at", TIME, comment="as the row's: not null where the item was deleted all the while"),
        sa.Column("text", sa.Text(), comment="as the row's, where its table has one"),
        sa.Column("raw", postgresql.JSONB(), nullable=False, comment="as the row's"),
        sa.PrimaryKeyConstraint("version_id", name=op.f("versions_pkey")),
        schema="raw",
        comment="What rows of the other tables of this schema held before they changed or were deleted.",
    )
    op.create_index(
        op.f("versions_workspace_id_table_name_external_id_idx"),
        "versions",
        ["workspace_id", "table_name", "external_id"],
        schema="raw",
    )
    op.create_index(op.f("versions_valid_to_idx"), "versions", ["valid_to"], schema="raw")
    op.execute("alter table raw.versions enable row level security")
    op.execute(
        "create policy one_workspace on raw.versions for select "
        "using (workspace_id = current_setting('ingest.workspace_id', true))"
    )
    for function, text in FUNCTIONS.items():
        op.execute(KEEP_VERSION.format(function=function, text=text))
    for table in TABLES:
        plain = table in WITHOUT_TEXT
        op.execute(TRIGGER.format(table=table, function="keep_version_without_text" if plain else "keep_version"))
        op.execute(AS_OF.format(table=table, text="null" if plain else "one.text"))
    for table in SOURCES:
        comment = "the vendor, by the name that `connect` takes"
        op.alter_column(table, "source", comment=comment, schema="ingest")


def downgrade() -> None:
    for table in SOURCES:
        op.alter_column(table, "source", comment="slack, gong, fathom or gmail", schema="ingest")
    for table in TABLES:
        op.execute(f"drop function raw.{table}_as_of(timestamptz)")
        op.execute(f"drop trigger keep_version on raw.{table}")
    for function in FUNCTIONS:
        op.execute(f"drop function raw.{function}()")
    op.drop_table("versions", schema="raw")
