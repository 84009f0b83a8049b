"""A real PostgreSQL and real simulated vendors for every test worker; each test gets a database of its own."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from benchmarks.stage import Simulator
from ingest_assets.storage.engine import connect
from ingest_simulator import embedded
from ingest_simulator.app import running
from tests.commands import Commands
from tests.databases import Databases
from tests.workbench import Bench, VirtualClock, plain_environ


def pytest_configure() -> None:
    """Let what tests start hear of Ctrl-C and of a closed terminal, though nohup or `&` had us ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that take minutes first, shared out among the workers, so that none is left for the end."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("timeout")]
    short = [item for item in items if not item.get_closest_marker("timeout")]
    share = ceil(len(short) / workers)
    items[:] = [
        item
        for worker in range(workers)  # each begins with as long a part of the list
        for item in (*long[worker::workers], *short[worker * share :][:share])
    ]


def pytest_collection_finish() -> None:
    """Let no collection look at what lasts as long as the tests: all modules, and the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> embedded.Server:
    """One server for all workers of a test run; it stops with the last of them."""
    base = (
        Path(tempfile.gettempdir())
        / f"ingest-assets-tests-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    )
    base.mkdir(exist_ok=True)
    return embedded.start(base / "postgres", durable=False)


@pytest.fixture(scope="session")
def databases(postgres: embedded.Server) -> Iterator[Databases]:
    with closing(Databases(postgres)) as databases:
        yield databases


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database without rows."""
    with databases.one() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture(scope="session")
def control_plane(simulator_url: str) -> Iterator[httpx.Client]:
    """One client for all tests: to read the certificate authorities takes longer than most tests' requests."""
    with httpx.Client(base_url=simulator_url, timeout=30) as client:
        yield client


@pytest.fixture
def sim(control_plane: httpx.Client) -> httpx.Client:
    """The simulator's control plane, reset."""
    control_plane.post("/_sim/reset").raise_for_status()
    return control_plane


@pytest.fixture
def simulator(sim: httpx.Client, simulator_url: str) -> Iterator[Simulator]:
    """The same control plane, reset, as the benchmarks speak to it."""
    assert sim
    with closing(Simulator(simulator_url)) as made:
        yield made


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    with closing(Commands(plain_environ())) as commands:
        yield commands


@pytest.fixture
def bench(sim: httpx.Client, database_url: str, commands: Commands) -> Iterator[Bench]:
    """Simulated workspaces and a migrated database, with time that costs nothing."""
    bench = Bench(sim, database_url, VirtualClock(sim), commands=commands)
    yield bench
    bench.close()
