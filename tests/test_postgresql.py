"""PostgreSQL in trouble: one true sentence with its own reason, exit code 2, and no account is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ingest_simulator import embedded
from tests.test_cli import refused
from tests.workbench import Bench, Workspace

STATES = {
    "53100": ("could not extend file: No space left on device", "has no disk space left"),
    "53200": ("out of memory", "has no memory left"),
    "53300": ("remaining connection slots are reserved", "has no connection left"),
    "53400": ("temporary file size exceeds temp_file_limit", "has no resources left"),
    "58030": ("could not read block 7: Input/output error", "meets trouble of its machine"),
    "57P03": ("the database system is starting up", "ends or starts"),
    "25006": ("cannot execute UPDATE in a read-only transaction", "takes no writes"),
    "42501": ("permission denied for table accounts", "does not allow it"),
}


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.workspace("acme", "general")
    made.say_many("general", 3)
    return made


def database(bench: Bench) -> str:
    return bench.database_url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def role(bench: Bench) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"somebody_{uuid4().hex[:12]}"
    bench.execute(f"create role {name} login")
    yield name
    bench.execute(f"drop owned by {name}; drop role {name}")


def as_role(bench: Bench, role: str) -> str:
    return bench.database_url.replace("postgres@", f"{role}@")


def grant_all(bench: Bench, role: str) -> None:
    for schema in ("raw", "ingest", "features"):
        bench.execute(f"grant usage on schema {schema} to {role}")
        bench.execute(f"grant all on all tables in schema {schema} to {role}")


class TestTrouble:
    @pytest.mark.parametrize("state", STATES)
    def test_of_the_whole_database_is_told_with_its_own_reason_and_touches_no_account(
        self, bench: Bench, acme: Workspace, state: str
    ) -> None:
        reason, words = STATES[state]
        bench.execute(
            "create function fail() returns trigger language plpgsql as $$ begin"
            f" raise exception using errcode = '{state}', message = '{reason}'; end $$"
        )
        bench.execute(
            "create trigger fail before insert on raw.slack_messages for each row execute function fail()"
        )
        refused(bench.run("sync", "slack", "--all"), words, reason, "PostgreSQL at the local socket:5432/")
        assert (acme.account.state, acme.account.attempts, acme.account.lease_until) == ("active", 0, None)
        bench.execute("drop trigger fail on raw.slack_messages")
        assert bench.run("sync", "slack", "--all").returncode == 0

    @pytest.mark.usefixtures("acme")
    def test_of_a_read_only_database(self, bench: Bench) -> None:
        bench.execute(f"alter database {database(bench)} set default_transaction_read_only = on")
        refused(bench.run("sync", "slack", "--all"), "takes no writes: cannot execute UPDATE in a read-only")
        refused(bench.run("pause", "slack", "--workspace", "acme"), "takes no writes")
        assert bench.run("status").returncode == 0

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("statement_timeout", "stopped a statement: canceling statement due to statement timeout"),
            ("lock_timeout", "did not get a lock in time: canceling statement due to lock timeout"),
        ],
    )
    @pytest.mark.usefixtures("acme")
    def test_of_a_lock_that_others_hold(self, bench: Bench, setting: str, words: str) -> None:
        bench.execute(f"alter database {database(bench)} set {setting} = '300ms'")
        with bench.engine.begin() as conn:
            conn.execute(text("lock table ingest.accounts in access exclusive mode"))
            refused(bench.run("sync", "slack", "--all"), words)

    @pytest.mark.usefixtures("acme")
    def test_of_a_role_without_rights(self, bench: Bench, role: str) -> None:
        sentence = refused(
            bench.run("accounts", DATABASE_URL=as_role(bench, role)), "permission denied for schema"
        )
        assert "migrate" not in sentence
        refused(bench.run("migrate", DATABASE_URL=as_role(bench, role)), "does not allow it: permission denied")

    @pytest.mark.usefixtures("acme")
    def test_of_a_limit_of_connections(self, bench: Bench, role: str) -> None:
        bench.execute(f"alter role {role} connection limit 0")
        done = bench.run("accounts", DATABASE_URL=as_role(bench, role))
        refused(done, "does not let us in: too many connections for role", "how many connections it allows")

    def test_of_a_role_that_there_is_none_of(self, bench: Bench) -> None:
        done = bench.run("accounts", DATABASE_URL=as_role(bench, "nobody_at_all"))
        refused(done, 'does not let us in: role "nobody_at_all" does not exist')

    def test_of_a_statement_of_ours_is_still_a_bug_of_ours(self, bench: Bench) -> None:
        bench.execute("alter table ingest.accounts drop column lease_token")
        done = bench.run("accounts")
        assert (done.returncode, "UndefinedColumn" in done.stderr) == (1, True)


class TestPreferences:
    @pytest.mark.parametrize(
        "preference",
        [
            "datestyle = 'SQL, DMY'",
            "datestyle = 'German'",
            "timezone = 'Asia/Kathmandu'",
            "bytea_output = 'escape'",
            "default_transaction_isolation = 'repeatable read'",
            "intervalstyle = 'iso_8601'",
        ],
    )
    def test_of_the_database_change_nothing(self, bench: Bench, acme: Workspace, preference: str) -> None:
        bench.execute(f"alter database {database(bench)} set {preference}")
        for _ in range(2):
            done = bench.run("sync", "slack", "--all")
            assert (done.returncode, done.stderr) == (0, "")
        assert bench.run("status").returncode == 0
        assert acme.held() == acme.shown()

    def test_an_encoding_that_cannot_hold_every_text_is_refused(
        self, bench: Bench, postgres: embedded.Server
    ) -> None:
        name = f"ascii_{uuid4().hex[:12]}"
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0"))
        url = postgres.url(name)
        assert bench.run("migrate", DATABASE_URL=url).returncode == 0
        refused(bench.run("accounts", DATABASE_URL=url), "is encoded in SQL_ASCII", "encoding UTF8")
        postgres.drop_database(name)


class TestARoleThatRowLevelSecurityBlinds:
    def run(self, bench: Bench, role: str, *command: str) -> Any:
        return bench.run(*command, DATABASE_URL=as_role(bench, role))

    @pytest.mark.parametrize("command", [["sync", "slack", "--all"], ["status"], ["accounts"], ["rotate-keys"]])
    def test_is_refused_with_the_two_ways_out(
        self, bench: Bench, acme: Workspace, role: str, command: list[str]
    ) -> None:
        grant_all(bench, role)
        refused(self.run(bench, role, *command), f"grant postgres to {role}", f"alter role {role} bypassrls")
        assert acme.rows == {}

    @pytest.mark.parametrize("way", ["grant postgres to {}", "alter role {} bypassrls"])
    def test_may_work_by_each_of_them(self, bench: Bench, acme: Workspace, role: str, way: str) -> None:
        grant_all(bench, role)
        bench.execute(way.format(role))
        done = self.run(bench, role, "sync", "slack", "--all")
        assert (done.returncode, done.stderr, len(acme.rows)) == (0, "", 3)


@pytest.mark.parametrize("setting", ["idle_session_timeout", "idle_in_transaction_session_timeout", None])
def test_sessions_that_the_server_ended_are_replaced(bench: Bench, setting: str | None) -> None:
    acme = bench.workspace("acme", "general")
    if setting is not None:
        bench.execute(f"alter database {database(bench)} set {setting} = '500ms'")
        bench.close()  # connections from now on have it
    with psycopg.connect(bench.database_url, autocommit=True) as other, bench.engine.connect() as conn:
        other.execute("set idle_session_timeout = 0")
        pid = conn.exec_driver_sql("select pg_backend_pid()").scalar_one()
        if setting != "idle_in_transaction_session_timeout":
            conn.commit()
        if setting is None:
            other.execute("select pg_terminate_backend(%s)", (pid,))
        while other.execute("select pid from pg_stat_activity where pid = %s", (pid,)).fetchone():
            pass
        other.execute(f"alter database {database(bench)} reset all")  # not for the sessions that replace them
        with pytest.raises(DBAPIError):
            conn.exec_driver_sql("select 1")
    acme.reads()
