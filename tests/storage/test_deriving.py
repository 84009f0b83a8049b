"""Rows of older parsers are derived anew: what an upgrade mends, what it leaves, and whom it does not disturb."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Engine, Row, Table, select, text

from ingest_assets.sources import SOURCES
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.sources.gong.records import GongCall
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser
from ingest_assets.sources.source import Source
from ingest_assets.storage import migrate
from ingest_assets.storage.engine import connect
from ingest_assets.sync.deriving import Derived, derive_anew
from tests.workbench import Bench, Workspace

ROWS = Path(__file__).parent / "rows_of_d3ae827.sql"
STORED_AT = datetime(2026, 6, 1, tzinfo=UTC)
RECORDS = [
    record for source in SOURCES for record in source.records if f"raw.{record.table.name}" in ROWS.read_text()
]


@pytest.fixture
def old(postgres: Any) -> Iterator[Engine]:
    """A database that the program of commit d3ae827 filled, migrated since."""
    name = f"old_{uuid4().hex[:12]}"
    engine = connect(postgres.create_database(name))
    config = migrate.config()
    with engine.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0005")
    with engine.begin() as conn:
        conn.exec_driver_sql(ROWS.read_text().replace("%", "%%"))
    migrate.migrate(engine)
    yield engine
    engine.dispose()
    postgres.drop_database(name)


def derive(engine: Engine, sources: Sequence[Source] = SOURCES) -> dict[str, Derived]:
    return {derived.table: derived for derived in derive_anew(engine, sources, lambda: True)}


def rows(engine: Engine, table: Table) -> dict[str, Row[Any]]:
    with engine.connect() as conn:
        return {row.external_id: row for row in conn.execute(select(table)).all()}


class TestADatabaseOfAnOlderVersion:
    def test_has_its_lists_as_arrays_after_the_migration(self, old: Engine) -> None:
        mails = rows(old, GmailMessage.table).values()
        assert {tuple(row.label_ids) for row in mails} == {("INBOX", "STARRED"), ("INBOX",), ()}
        assert all(len(row.recipients) == 1 and row.cc == [] for row in mails)

    def test_has_every_row_of_today_s_parsers_after_maintenance(self, old: Engine) -> None:
        before = {record.table: rows(old, record.table) for record in RECORDS}
        derived = derive(old)
        for record in RECORDS:
            after = rows(old, record.table)
            assert after.keys() == before[record.table].keys() != set()
            assert {row.parser_version for row in after.values()} == {record.parser}
            assert derived[str(record.table)].rows == len(after)
            assert derived[str(record.table)].failed == 0

    def test_has_what_a_sync_would_have_stored(self, old: Engine) -> None:
        derive(old)
        for row in rows(old, SlackUser.table).values():
            assert (row.name, row.email) == (row.raw.get("name"), row.raw.get("profile", {}).get("email"))
        [deal] = [row for row in rows(old, SlackMessage.table).values() if row.raw.get("text") == "New deal"]
        assert "$48,000" in deal.text
        assert deal.author_name == "Deal Desk"
        unnamed = [row.text for row in rows(old, GongCall.table).values() if "Unknown speaker" in (row.text or "")]
        assert unnamed
        assert all(
            {"Unknown speaker 1", "Unknown speaker 2"} <= set(re.findall(r"^[^:]+", said, re.M))
            for said in unnamed
        )
        [copied] = [row for row in rows(old, GmailMessage.table).values() if "STARRED" in row.label_ids]
        assert "carol@acme.example" in " ".join(copied.bcc)
        assert "ann@acme.example" in " ".join(copied.cc)
        assert "bob@acme.example" in " ".join(copied.cc)
        assert copied.text == "Shall we meet on Thursday?"
        [reply] = [row for row in rows(old, GmailMessage.table).values() if "Head of Purchasing" in row.text]
        assert reply.new_text == "Thursday works for us."
        assert "> Shall we meet" in reply.text
        [thread] = [row for row in rows(old, GmailThread.table).values() if row.external_id == reply.thread_id]
        assert "Thursday works for us." in thread.text
        assert "> Shall we meet" not in thread.text

    def test_has_only_those_rows_touched_that_came_out_differently(self, old: Engine) -> None:
        before = {record.table: rows(old, record.table) for record in RECORDS}
        changed = derive(old)
        for record in RECORDS:
            after = rows(old, record.table)
            moved = {key for key, row in after.items() if row.updated_at != STORED_AT}
            differs = {
                key
                for key, row in after.items()
                if any(
                    getattr(row, name) != getattr(before[record.table][key], name) for name in record.own_fields
                )
            }
            assert moved == differs
            assert changed[str(record.table)].changed == len(moved)
            if "text" not in record.telling:
                assert {k: r.content_hash for k, r in after.items()} == {
                    k: r.content_hash for k, r in before[record.table].items()
                }
            assert {k: r.raw for k, r in after.items()} == {k: r.raw for k, r in before[record.table].items()}

    def test_is_not_looked_through_again(self, old: Engine) -> None:
        derive(old)
        before = {record.table: rows(old, record.table) for record in RECORDS}
        assert derive(old) == {}
        assert {record.table: rows(old, record.table) for record in RECORDS} == before

    def test_keeps_a_row_that_the_parser_cannot_read(self, old: Engine) -> None:
        with old.begin() as conn:
            conn.execute(text("update raw.gong_calls set raw = '{\"metaData\": 5}'"))
        before = rows(old, GongCall.table)
        derived = derive(old)["raw.gong_calls"]
        assert (derived.rows, derived.changed, derived.failed) == (len(before), 0, len(before))
        for key, row in rows(old, GongCall.table).items():
            assert (row.text, row.updated_at, row.parser_version) == (
                before[key].text,
                STORED_AT,
                GongCall.parser,
            )

    def test_has_its_threads_made_of_its_mails(self, old: Engine) -> None:
        with old.begin() as conn:
            conn.execute(text("update raw.gmail_threads set text = 'outdated', content_hash = '\\x00'"))
        derive(old)
        threads, mails = rows(old, GmailThread.table), rows(old, GmailMessage.table).values()
        for key, row in threads.items():
            said = [mail.new_text or mail.text for mail in mails if mail.thread_id == key]
            assert all(one in row.text for one in said)
            assert row.content_hash != b"\0"


class Louder(SlackMessage):
    """A Slack message as the parser of a later release would derive it."""

    parser: ClassVar[int] = SlackMessage.parser + 1

    @classmethod
    def rederive(cls, row: Row[Any], beside: Any) -> Self:
        made = super().rederive(row, beside)
        return made.model_copy(update={"text": f"{made.text}!", "reply_count": 99})  # type: ignore[return-value]


class Disturbed(Louder):
    """The same, while a sync writes each row."""

    bench: ClassVar[Bench]

    @classmethod
    def rederive(cls, row: Row[Any], beside: Any) -> Self:
        cls.bench.execute(
            "update raw.slack_messages set text = 'of a sync', content_hash = '\\x01' where external_id = :id",
            id=row.external_id,
        )
        return super().rederive(row, beside)


def later(record: type[SlackMessage]) -> list[Source]:
    return [replace(SLACK, records=(record, SlackUser, SlackChannel))]


class TestRowsOfAnOlderParser:
    @pytest.fixture
    def acme(self, bench: Bench) -> Workspace:
        made = bench.workspace("acme", "general")
        made.say_many("general", 5)
        made.reads()
        return made

    def test_are_derived_anew_but_for_what_they_keep(self, bench: Bench, acme: Workspace) -> None:
        before = acme.rows
        assert derive(bench.engine, later(Louder))["raw.slack_messages"].changed == 5
        for ts, row in acme.rows.items():
            assert (row.text, row.reply_count) == (f"{before[ts].text}!", before[ts].reply_count)
            assert row.content_hash == before[ts].content_hash
            assert row.updated_at > before[ts].updated_at

    def test_are_derived_without_a_request(self, bench: Bench, acme: Workspace) -> None:
        since = bench.requests()
        derive(bench.engine, later(Louder))
        assert bench.requests() == since
        assert all("!" in row.text for row in acme.rows.values())

    def test_are_left_to_a_sync_that_wrote_them_meanwhile(self, bench: Bench, acme: Workspace) -> None:
        Disturbed.bench = bench
        derive(bench.engine, later(Disturbed))
        assert {row.text for row in acme.rows.values()} == {"of a sync"}
        assert {row.parser_version for row in acme.rows.values()} == {SlackMessage.parser}

    def test_that_postgresql_refuses_keep_their_values(self, bench: Bench, acme: Workspace) -> None:
        bench.execute("alter table raw.slack_messages add constraint odd check (text <> 'message 2!')")
        derived = derive(bench.engine, later(Louder))["raw.slack_messages"]
        assert (derived.rows, derived.changed, derived.failed) == (5, 4, 1)
        assert [row.text for row in acme.rows.values() if "!" not in row.text] == ["message 2"]
        assert {row.parser_version for row in acme.rows.values()} == {Louder.parser}

    def test_are_derived_in_steps_and_go_on_another_time(self, bench: Bench, acme: Workspace) -> None:
        steps = iter([True, True, False, False])
        list(derive_anew(bench.engine, later(Louder), lambda: next(steps), step=2))
        assert sum("!" in row.text for row in acme.rows.values()) == 4
        derive(bench.engine, later(Louder))
        assert sum(row.text.endswith("!") and not row.text.endswith("!!") for row in acme.rows.values()) == 5

    def test_are_not_locked_while_they_are_parsed(self, bench: Bench, acme: Workspace) -> None:
        for ts in acme.rows:
            acme.order("edit", channel="general", ts=ts, text="edited")
        turns = derive_anew(bench.engine, later(Louder), lambda: acme.reads() is not None)
        list(turns)
        assert {row.text for row in acme.rows.values()} <= {"edited", "edited!"}
