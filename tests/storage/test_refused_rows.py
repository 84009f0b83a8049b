"""A row that PostgreSQL refuses is one rejected record: what is stored beside it, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sources.tenants import TENANTS, Tenant
from tests.sources.test_gmail_mail import random_text
from tests.workbench import MESSAGES, Bench, Workspace

CANARY = "CANARY"

TRIGGER = """
create function refuse() returns trigger language plpgsql as
$$ begin if new.raw::text like '%CANARY%' then raise exception 'not this: %', new.raw; end if; return new; end $$;
create trigger refuse before insert on raw.slack_messages for each row execute function refuse()
"""
DEFERRED = TRIGGER.replace(
    "create trigger refuse before insert", "create constraint trigger refuse after insert"
).replace("for each row", "deferrable initially deferred for each row")
REFUSALS = {
    "check": (
        "alter table raw.slack_messages add constraint odd check (text not like '%CANARY%')",
        "PostgreSQL refuses it (SQLSTATE 23514, constraint odd)",
    ),
    "null": (
        "alter table raw.slack_messages alter column author_id set not null",
        "PostgreSQL refuses it (SQLSTATE 23502, column author_id)",
    ),
    "index": (
        "create index on raw.slack_messages (text)",
        "PostgreSQL refuses it (SQLSTATE 54000, constraint slack_messages_text_idx)",
    ),
    "copy": (
        "create domain clean as text constraint clean check (value not like '%CANARY%');"
        "alter table raw.slack_messages alter column text type clean",
        "PostgreSQL refuses it (SQLSTATE 23514, column text, constraint clean)",
    ),
    "copied number": (
        "alter table raw.slack_messages alter column reply_count type smallint",
        "PostgreSQL refuses it (SQLSTATE 22P03, column reply_count)",
    ),
    "trigger": (TRIGGER, "PostgreSQL refuses it (SQLSTATE P0001)"),
    "deferred": (DEFERRED, "PostgreSQL refuses it (SQLSTATE P0001)"),
    "cast": (
        "alter table raw.slack_messages add constraint odd check (text not like '%CANARY%' or text::int > 0)",
        "PostgreSQL refuses it (SQLSTATE 22P02)",
    ),
}


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.workspace("acme", "general")
    made.say_many("general", 3, hours_ago=2)
    odd: dict[str, Any] = {"user": None, "text": f"{CANARY} {random_text(6_000)}", "blocks": [], "reply_count": 0}
    made.say("general", CANARY, hours_ago=1.5, extra=odd)
    made.say_many("general", 3)
    return made


class TestARowThatPostgreSQLRefuses:
    @pytest.mark.parametrize("kind", REFUSALS)
    def test_is_one_rejected_record_and_the_rest_of_the_page_is_stored(self, acme: Workspace, kind: str) -> None:
        statement, reason = REFUSALS[kind]
        acme.bench.execute(statement)
        result = acme.reads()
        assert (len(acme.living), result.counts.rejected, result.counts.seen) == (6, 1, 7)
        [refused] = acme.rejected
        assert refused.error == reason
        assert CANARY in refused.payload["text"]

    def test_is_stored_once_postgresql_takes_it(self, acme: Workspace) -> None:
        acme.bench.execute(REFUSALS["check"][0])
        acme.reads()
        first = acme.rejected
        acme.reads()
        assert [row.first_seen_at for row in acme.rejected] == [row.first_seen_at for row in first]
        acme.bench.execute("alter table raw.slack_messages drop constraint odd")
        acme.bench.execute("delete from ingest.sync_cursors")
        acme.reads()
        assert len(acme.living) == 7
        assert not acme.rejected

    def test_does_not_move_the_rows_beside_it_at_the_next_sync(self, acme: Workspace) -> None:
        acme.bench.execute(REFUSALS["check"][0])
        acme.reads()
        before = {row.external_id: row.updated_at for row in acme.stored(MESSAGES)}
        acme.bench.execute("delete from ingest.sync_cursors")
        acme.reads()
        assert {row.external_id: row.updated_at for row in acme.stored(MESSAGES)} == before

    def test_many_of_them_fail_the_sync_and_are_all_told(self, acme: Workspace) -> None:
        acme.say_many("general", 20)
        acme.bench.execute("alter table raw.slack_messages add constraint odd check (text like 'CANARY%')")
        result = acme.sync()
        assert result.status == "failed"
        assert "could not be parsed" in str(result.reason)
        assert (len(acme.living), len(acme.rejected)) == (1, 26)

    def test_a_table_that_is_missing_a_column_is_a_bug_and_rejects_nothing(self, acme: Workspace) -> None:
        acme.bench.execute("alter table raw.slack_messages drop column subtype")
        result = acme.sync()
        assert result.status == "failed"
        assert "A bug of ours" in str(result.reason)
        acme.bench.execute("alter table raw.slack_messages add column subtype text")
        assert not acme.rejected


@pytest.mark.parametrize("name", TENANTS)
def test_a_refused_row_of_each_table_leaves_the_others(bench: Bench, name: str) -> None:
    acme: Tenant = TENANTS[name](bench, "acme")
    for _ in range(3):
        acme.add()
    acme.connected()
    tables = [record.table for record in acme.source.records]
    for _ in range(2):  # some lists of names come with the second sync
        acme.reads()
    stored = {table.name: {row.external_id for row in acme.stored(table)} for table in tables}
    refused = {table: max(ids) for table, ids in stored.items()}
    for table in tables:
        bench.execute(
            f"delete from {table}; alter table {table} add constraint odd "
            f"check (external_id <> '{refused[table.name]}')"
        )
    acme.forget_cursors()
    for _ in range(2):
        acme.reads()
    assert {row.table_name: row.item_key for row in acme.rejected} == refused
    for table in tables:
        assert {row.external_id for row in acme.stored(table)} == stored[table.name] - {refused[table.name]}
