"""A failover: sessions of before turn read-only, new ones reach the new primary, and nobody restarts us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from tests.switch import Pair
from tests.workbench import Bench, VirtualClock

DATABASE = "shop"


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    made.primary.create_database(DATABASE)
    yield made
    made.close()


@pytest.fixture
def moved(pair: Pair, sim: httpx.Client) -> Iterator[Bench]:
    """A workspace on the first server, and pools with sessions there."""
    engine = connect(pair.url(DATABASE))
    migrate(engine)
    engine.dispose()
    bench = Bench(sim, pair.url(DATABASE), VirtualClock(sim))
    yield bench
    bench.close()


def where(bench: Bench) -> str:
    with bench.engine.connect() as conn:
        return str(conn.execute(text("show data_directory")).scalar_one())


def test_a_sync_after_it_writes_to_the_new_primary(pair: Pair, moved: Bench) -> None:
    acme = moved.workspace("acme", "general")
    acme.say("general", "before")
    acme.reads()
    before = where(moved)
    acme.say("general", "after")
    pair.fail_over()
    assert where(moved) == before  # it still reads there
    with pytest.raises(DBAPIError, match="read-only"):
        acme.sync()
    assert where(moved) != before
    assert acme.account.state == "active"
    acme.reads()
    assert len(acme.living) == 2


def test_a_command_after_it_needs_nothing(pair: Pair, moved: Bench) -> None:
    acme = moved.workspace("acme", "general")
    acme.say("general", "before")
    pair.fail_over()
    both = f"{pair.primary.socket_dir},{pair.standby.socket_dir}"
    either = f"postgresql://postgres@/{DATABASE}?host={both}&target_session_attrs=read-write"
    for url in (moved.database_url, either):
        done = moved.run("sync", "slack", "--all", DATABASE_URL=url)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("web", [False, True], ids=["daemon and runs", "web server"])
def test_dagsters_kept_connections_go_on_there(
    pair: Pair, moved: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: bool
) -> None:
    url = sqlalchemy_url(moved.database_url, "psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parent.parent / "deploy/dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        if web:
            instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
        instance.add_dynamic_partitions("workspaces", ["acme"])
        pair.fail_over()
        with pytest.raises(Exception, match="read-only"):
            instance.add_dynamic_partitions("workspaces", ["globex"])
        instance.add_dynamic_partitions("workspaces", ["globex"])
        assert instance.get_dynamic_partitions("workspaces") == ["acme", "globex"]
