"""PgBouncer in transaction mode: each transaction may have another session, which others used before."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import dagster as dg
import httpx
import psycopg
import pytest

from benchmarks.deployment import free_port
from ingest_assets.cli.doctor.database import pooler as pooler_check
from ingest_assets.cli.doctor.finding import NOTE, PROBLEM
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.schedules.maintenance import prune_dagster
from ingest_assets.settings import sqlalchemy_url
from ingest_simulator import embedded
from tests import needs
from tests.databases import advisory_locks
from tests.features.test_extraction import Calls
from tests.sources.tenants import TENANTS
from tests.switch import SYSTEM_USER
from tests.workbench import Bench, VirtualClock

CONFIGURATION = """
[databases]
* = host={socket} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
"""
START_SECONDS = 20
DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.fixture
def pooler(postgres: embedded.Server) -> Iterator[str]:
    """The address of a PgBouncer with four sessions for each database, without the database's name."""
    program, port = needs.program("pgbouncer", "pgbouncer"), free_port()
    with tempfile.TemporaryDirectory(prefix="ingest-assets-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(socket=postgres.socket_dir, port=port))
        user = SYSTEM_USER if os.geteuid() == 0 else None  # it refuses to be root, and the socket is the server's
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen([program, folder / "pgbouncer.ini"], user=user, stdout=log, stderr=log) as process,  # noqa: S603
        ):
            url, deadline = f"postgresql://postgres@127.0.0.1:{port}", time.monotonic() + START_SECONDS
            while not _answers(f"{url}/postgres"):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)  # between looks at another process
            yield url
            process.terminate()


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


@pytest.fixture
def pooled(sim: httpx.Client, database_url: str, pooler: str) -> Iterator[Bench]:
    name = database_url.partition("?")[0].rpartition("/")[2]
    bench = Bench(sim, f"{pooler}/{name}", VirtualClock(sim))
    yield bench
    bench.close()


@pytest.fixture
def others(pooled: Bench) -> Iterator[None]:
    """Clients beside us that take sessions in turn, hold them for a moment, and prepare and set what they like."""
    done = Event()

    def use(number: int) -> None:
        with psycopg.connect(pooled.database_url, autocommit=True, prepare_threshold=None) as conn:
            while not done.is_set():
                with conn.transaction():
                    conn.execute("select pg_sleep(0.002), %s::int", (number,))

    threads = [Thread(target=use, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("source", sorted(TENANTS))
def test_syncs_work_beside_other_clients(pooled: Bench, source: str) -> None:
    tenants = [TENANTS[source](pooled, f"w{number}") for number in range(3)]
    for tenant in tenants:
        for _ in range(4):
            tenant.add()
        tenant.connect()
    for _ in range(5):
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda tenant: tenant.sync(), tenants))
        assert [(result.status, result.reason) for result in found] == [("success", None)] * 3
        for tenant in tenants:
            tenant.add(hours_ago=0.1)
    assert all(len(tenant.rows) >= 4 for tenant in tenants)
    assert advisory_locks(pooled.engine) == 0


@pytest.mark.usefixtures("others")
def test_extractions_work_one_after_the_other_and_none_is_skipped(pooled: Bench) -> None:
    calls = Calls(pooled)
    for _ in range(15):
        calls.add()
        report = calls.extract()
        assert (report.status, report.extracted) == ("success", 1)
    assert len(calls.rows) == 15
    assert advisory_locks(pooled.engine) == 0
    assert calls.extract().requests == 0


@pytest.mark.usefixtures("others")
def test_commands_work_and_say_what_is_wrong(pooled: Bench) -> None:
    acme = pooled.workspace("acme", "general")
    acme.say_many("general", 30)
    for _ in range(3):
        done = pooled.run("sync", "slack", "--all")
        assert (done.returncode, done.stderr) == (0, "")
    assert acme.held() == acme.shown()
    for command in (["migrate"], ["status"], ["accounts"], ["rotate-keys"]):
        assert pooled.run(*command).returncode == 0
    done = pooled.run("accounts", DATABASE_URL=pooled.database_url + "_none")
    assert (done.returncode, "does not let us in" in done.stderr) == (2, True)


@dg.asset
def thing() -> None:
    pass


@pytest.mark.usefixtures("others")
def test_dagsters_storage_works_and_is_pruned(
    pooled: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", sqlalchemy_url(pooled.database_url, "psycopg2"))
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for _ in range(3):
            assert dg.materialize([thing], instance=instance).success
        told: list[tuple[object, ...]] = []
        prune_dagster(instance, datetime.now(UTC) + timedelta(minutes=1), lambda *line: told.append(line))
        assert {line[1] for line in told} == {"event_logs", "asset_event_tags", "asset_check_executions", "runs"}
        assert instance.get_runs() == []
        assert instance.get_latest_materialization_event(dg.AssetKey("thing")) is not None


def test_doctor_sees_it_and_what_it_is_no_good_for(pooled: Bench) -> None:
    mine = {"DAGSTER_POSTGRES_URL": sqlalchemy_url(pooled.database_url, "psycopg2")}
    patient = Patient.of(pooled.shell(**mine), workspace=None, source=None, offline=True)
    [seen, of_dagster] = pooler_check(patient)
    assert (seen.level, "A pooler in transaction mode" in seen.sentence) == (NOTE, True)
    assert (of_dagster.level, "DAGSTER_POSTGRES_URL leads to a pooler" in of_dagster.sentence) == (PROBLEM, True)
    patient.app.any_engine.dispose()
