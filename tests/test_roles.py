"""`deploy/roles.sql`: an owner that migrates, a writer that runs everything, a reader that sees one workspace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import dagster as dg
import httpx
import psycopg
import pytest

from ingest_assets.incidents.look import look
from ingest_assets.settings import sqlalchemy_url
from ingest_simulator import embedded
from tests.features.test_extraction import Calls
from tests.workbench import Bench, VirtualClock

DEPLOY = Path(__file__).parent.parent / "deploy"


def roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute((DEPLOY / "roles.sql").read_bytes())


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@")


@pytest.fixture(params=["before the first migration", "after it"])
def separated(
    request: pytest.FixtureRequest, bench: Bench, sim: httpx.Client, postgres: embedded.Server
) -> Iterator[Bench]:
    """What the writer runs on, in a database that the owner migrated."""
    name = f"roles_{uuid4().hex[:12]}"
    url = postgres.create_database(name)
    if "after" in request.param:
        assert bench.run("migrate", DATABASE_URL=url).returncode == 0
    for _ in range(2):
        roles(url)
    done = bench.run("migrate", DATABASE_URL=as_role(url, "ingest_owner"))
    assert (done.returncode, done.stderr) == (0, "")
    made = Bench(sim, as_role(url, "ingest_writer"), VirtualClock(sim))
    yield made
    made.close()
    postgres.drop_database(name)


def test_the_writer_runs_everything_and_changes_no_table(separated: Bench) -> None:
    calls = Calls(separated)
    calls.add()
    assert calls.extract().extracted == 1
    acme = separated.workspace("acme", "general")
    acme.say("general", "hello")
    done = separated.run("sync", "slack", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    seen = look(separated.engine, separated.app.core, separated.app.alerts, datetime.now(UTC), ["webhook"])
    assert seen.open == 0
    for command in (["status"], ["accounts"], ["incidents"], ["rotate-keys"], ["remove", "acme", "--yes"]):
        assert separated.run(*command).returncode == 0
    with psycopg.connect(separated.database_url, autocommit=True) as conn:
        for forbidden in ("drop table raw.slack_messages", "alter table ingest.accounts add x int",
                          "create table raw.mine (x int)", "truncate raw.slack_messages"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(forbidden)


def test_the_reader_sees_one_workspace_and_no_login(separated: Bench) -> None:
    for name in ("acme", "globex"):
        workspace = separated.workspace(name, "general")
        workspace.say("general", "hello")
        workspace.reads()
    url = as_role(separated.database_url.replace("ingest_writer@", "postgres@"), "ingest_reader")
    with psycopg.connect(url, autocommit=True) as conn:
        assert conn.execute("select count(*) from raw.slack_messages").fetchall() == [(0,)]
        conn.execute("set ingest.workspace_id = 'acme'")
        assert conn.execute("select distinct workspace_id from raw.slack_messages").fetchall() == [("acme",)]
        for forbidden in ("select * from ingest.accounts", "select * from ingest.token_pairs",
                          "delete from raw.slack_messages", "create table public.mine (x int)"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(forbidden)


def test_dagster_keeps_its_tables_as_the_writer(
    separated: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", sqlalchemy_url(separated.database_url, "psycopg2"))
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("workspaces", ["acme"])
        assert instance.get_dynamic_partitions("workspaces") == ["acme"]
