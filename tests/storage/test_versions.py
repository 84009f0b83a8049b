"""What a row held before it changed is kept, and what a table held at a moment can be asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.sources import SOURCES
from ingest_assets.storage.pruning import delete_removed, prune_versions
from tests.sources.tenants import GongTenant
from tests.workbench import Bench, Workspace

TABLES = [record.table for source in SOURCES for record in source.records]


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    return bench.workspace("acme", "general")


def rows(bench: Bench, query: str, **params: Any) -> list[Any]:
    with bench.engine.connect() as conn:
        return list(conn.execute(text(query), params))


def now(bench: Bench) -> datetime:
    """Return PostgreSQL's time."""
    moment: datetime = rows(bench, "select clock_timestamp() as now")[0].now
    return moment


def as_of(bench: Bench, moment: datetime, table: str = "slack_messages") -> set[str]:
    return {row.text for row in rows(bench, f"select * from raw.{table}_as_of(:moment)", moment=moment)}


def kept(bench: Bench) -> list[tuple[Any, ...]]:
    query = "select text, deleted_at is not null as deleted from raw.versions order by version_id"
    return [tuple(row) for row in rows(bench, query)]


def edit(acme: Workspace, ts: str, said: str) -> None:
    acme.order("edit", channel="general", ts=ts, text=said)


class TestAMessage:
    def test_that_nobody_changes_has_no_version(self, acme: Workspace) -> None:
        acme.say("general", "hello")
        for _ in range(3):
            acme.reads()
        assert kept(acme.bench) == []
        assert as_of(acme.bench, now(acme.bench)) == {"hello"}

    def test_that_is_edited_keeps_what_was_said(self, acme: Workspace) -> None:
        bench, ts = acme.bench, acme.say("general", "nine thousand")
        acme.reads()
        before = now(bench)
        edit(acme, ts, "ten thousand")
        acme.reads()
        assert kept(bench) == [("nine thousand", False)]
        assert (as_of(bench, before), as_of(bench, now(bench))) == ({"nine thousand"}, {"ten thousand"})

    def test_that_is_deleted_was_there_before(self, acme: Workspace) -> None:
        bench, ts = acme.bench, acme.say("general", "gone tomorrow")
        acme.reads()
        before = now(bench)
        acme.order("delete", channel="general", ts=ts)
        acme.reads()
        assert kept(bench) == [("gone tomorrow", False)]
        assert (as_of(bench, before), as_of(bench, now(bench))) == ({"gone tomorrow"}, set())

    def test_that_came_after_a_moment_was_not_there_then(self, acme: Workspace) -> None:
        bench = acme.bench
        before = now(bench)
        acme.say("general", "hello")
        acme.reads()
        assert as_of(bench, before) == set()

    def test_that_comes_back_was_away_meanwhile(self, acme: Workspace) -> None:
        bench = acme.bench
        acme.say("general", "hello")
        acme.reads()
        there = now(bench)
        for change in ("deleted_at = now()", "deleted_at = null"):
            bench.execute(f"update raw.slack_messages set {change}, updated_at = now()")
            if change == "deleted_at = now()":
                away = now(bench)
        assert [as_of(bench, moment) for moment in (there, away, now(bench))] == [{"hello"}, set(), {"hello"}]
        assert kept(bench) == [("hello", False), ("hello", True)]

    def test_is_found_at_every_moment_of_many_changes(self, acme: Workspace) -> None:
        bench, ts = acme.bench, acme.say("general", "0")
        moments = []
        for number in range(1, 6):
            acme.reads()
            moments.append(now(bench))
            edit(acme, ts, str(number))
        assert [as_of(bench, moment) for moment in moments] == [{str(number)} for number in range(5)]


def test_of_two_transactions_the_one_that_began_first_may_come_second(acme: Workspace) -> None:
    """Its now() is the earlier one: the versions must not overlap for that."""
    bench = acme.bench
    acme.say("general", "at first")
    acme.reads()
    change = text("update raw.slack_messages set text = :text, updated_at = now()")
    with bench.engine.begin() as first:
        first.execute(text("select now()"))
        with bench.engine.begin() as second:
            second.execute(change, {"text": "by the second"})
        first.execute(change, {"text": "by the first"})
    assert [said for said, _deleted in kept(bench)] == ["at first", "by the second"]
    moments = rows(bench, "select valid_from, valid_to from raw.versions order by version_id")
    assert all(row.valid_from < row.valid_to for row in moments)
    for moment in [*(row.valid_from for row in moments), *(row.valid_to for row in moments), now(bench)]:
        assert len(rows(bench, "select * from raw.slack_messages_as_of(:moment)", moment=moment)) == 1
    assert as_of(bench, now(bench)) == {"by the first"}


def test_a_transcript_that_is_withdrawn_is_kept(bench: Bench) -> None:
    acme = GongTenant(bench, "acme").connected()
    acme.add()
    acme.reads()
    [said] = [row.text for row in rows(bench, "select text from raw.gong_calls")]
    before = now(bench)
    bench.execute("update raw.gong_calls set text = null, raw = raw - 'transcript', updated_at = now()")
    assert as_of(bench, before, "gong_calls") == {said}
    assert as_of(bench, now(bench), "gong_calls") == {None}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_keeps_versions_and_can_be_asked(bench: Bench, table: Any) -> None:
    triggers = rows(
        bench,
        "select tgname from pg_trigger where tgrelid = cast(:name as regclass) and not tgisinternal",
        name=table.fullname,
    )
    assert [row.tgname for row in triggers] == ["keep_version"]
    assert rows(bench, f"select * from {table.fullname}_as_of(now())") == []


def test_what_is_older_than_wanted_goes(acme: Workspace) -> None:
    bench, ts = acme.bench, acme.say("general", "one")
    acme.reads()
    for said in ("two", "three"):
        edit(acme, ts, said)
        acme.reads()
    bench.execute("update raw.versions set valid_to = valid_to - interval '91 days' where text = 'one'")
    assert prune_versions(bench.engine, datetime.now(UTC) - timedelta(days=90)) == 1
    assert kept(bench) == [("two", False)]
    assert prune_versions(bench.engine, datetime.now(UTC) + timedelta(days=1)) == 1


def test_the_data_of_a_removed_workspace_takes_its_versions_along(acme: Workspace) -> None:
    bench, ts = acme.bench, acme.say("general", "one")
    acme.reads()
    edit(acme, ts, "two")
    acme.reads()
    assert kept(bench) == [("one", False)]
    assert bench.run("remove", "acme", "--yes").returncode == 0
    assert [name for name, _rows in delete_removed(bench.engine, datetime.now(UTC) + timedelta(days=1))] == [
        "acme"
    ]
    assert kept(bench) == []
