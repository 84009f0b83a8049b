"""kill -9 of anything in the middle of a batch: after a restart all is there, as if nothing had happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, Deployment, descendants
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.cli.processes import INSTANCE
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_assets.storage.queue import mark_due
from ingest_simulator import embedded
from tests import survivors

WORKSPACES = 60
PATIENCE = 200.0


class Machine:
    """A PostgreSQL of its own and Dagster's services on it."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.postgres = embedded.start(folder / "postgres")
        self.environ = survivors.environ(simulator)
        self.url = self.postgres.create_database("crash")
        engine = connect(self.url)
        migrate(engine)
        engine.dispose()
        self.app = App.load({**self.environ, "DATABASE_URL": self.url})
        instance = survivors.instance(INSTANCE, folder)
        self.deployment = Deployment(self.url, folder / "dagster", self.environ, instance=instance)

    def fresh(self) -> int:
        try:
            return survivors.fresh(self.app)
        except OperationalError:  # while PostgreSQL is down
            return 0

    def readers(self) -> set[str]:
        """The runs that hold the lease of an account."""
        with self.app.any_engine.connect() as conn:
            return {row.lease_owner for row in find_accounts(conn) if row.lease_until is not None}

    def kill_run_worker(self) -> None:
        [*workers] = descendants(self.deployment.processes[CODE_SERVER].pid)
        assert workers
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_postgres(self) -> None:
        pid = self.postgres.pid
        for one in [pid, *descendants(pid)]:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while Path(f"/proc/{pid}").exists():  # to start it again finds it running until it is reaped
            assert time.monotonic() < deadline
            time.sleep(0.01)  # between looks at another process

    def restart(self) -> None:
        """What a supervisor does: start again whatever is not there."""
        self.deployment.kill_all()  # a code server whose run has lost its database takes 20 s to end
        self.postgres = embedded.start(self.folder / "postgres")
        self.app.any_engine.dispose()
        self.deployment.start(CODE_SERVER, DAEMON)


@pytest.fixture
def machine(tmp_path: Path, simulator: Simulator) -> Iterator[Machine]:
    made = Machine(tmp_path, simulator)
    try:
        yield made
    finally:
        made.deployment.kill_all()
    made.app.any_engine.dispose()


KILLS: dict[str, Callable[[Machine], None]] = {
    "daemon": lambda machine: machine.deployment.kill(DAEMON),
    "code server": lambda machine: machine.deployment.kill(CODE_SERVER),
    "run worker": Machine.kill_run_worker,
    "PostgreSQL": Machine.kill_postgres,
}


@pytest.mark.timeout(420)
@pytest.mark.parametrize("victim", list(KILLS))
def test_everything_is_complete_after_a_kill(victim: str, machine: Machine, simulator: Simulator) -> None:
    names = [f"w{number:03}" for number in range(WORKSPACES)]
    crowd.found(simulator, SLACK, names, survivors.ITEMS)
    expected = survivors.undisturbed(machine.environ, machine.postgres.create_database("undisturbed"), names)
    crowd.connect(machine.app, SLACK, names)
    simulator.order("/latency", seconds=0.3)
    deployment = machine.deployment
    deployment.start(CODE_SERVER, DAEMON)
    with machine.app.engine.begin() as conn:
        mark_due(conn, "slack", datetime.now(UTC))
    deployment.wait("the first workspaces", lambda: machine.fresh() >= 5, PATIENCE)
    KILLS[victim](machine)
    machine.app.any_engine.dispose()
    assert machine.fresh() < WORKSPACES
    simulator.order("/latency", seconds=0)
    machine.restart()
    deployment.wait("all workspaces", lambda: machine.fresh() == WORKSPACES, PATIENCE)
    assert survivors.checksum(machine.app) == expected
    assert survivors.rewritten(machine.app) == 0


@pytest.mark.timeout(420)
def test_a_run_that_is_terminated_ends_at_a_safe_place(machine: Machine, simulator: Simulator) -> None:
    """As a deploy does it: by SIGTERM to the run worker, which waits for no answer of a vendor."""
    names = [f"w{number:03}" for number in range(WORKSPACES)]
    crowd.found(simulator, SLACK, names, survivors.ITEMS)
    crowd.connect(machine.app, SLACK, names)
    simulator.order("/latency", seconds=0.3)
    deployment = machine.deployment
    deployment.start(CODE_SERVER, DAEMON)
    with machine.app.engine.begin() as conn:
        mark_due(conn, "slack", datetime.now(UTC))
    deployment.wait("the first workspaces", lambda: machine.fresh() >= 5, PATIENCE)
    simulator.order("/latency", seconds=2 * PATIENCE)
    killed, workers = machine.readers(), descendants(deployment.processes[CODE_SERVER].pid)
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    # the next run may have begun by now, and waits for answers
    deployment.wait("the run's end", lambda: not killed & machine.readers(), PATIENCE / 2)
    with machine.app.engine.connect() as conn:
        assert {row.state for row in find_accounts(conn)} == {"active"}
    assert machine.fresh() < WORKSPACES
    simulator.order("/latency", seconds=0)
    deployment.wait("all workspaces", lambda: machine.fresh() == WORKSPACES, PATIENCE)
    assert survivors.rewritten(machine.app) == 0
