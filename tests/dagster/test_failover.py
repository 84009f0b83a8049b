"""A failover under a running daemon: it goes on by itself on the new primary, and nothing is missing there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, Deployment
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.cli.processes import INSTANCE
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_assets.storage.queue import mark_due
from tests import survivors
from tests.switch import Pair

WORKSPACES = 60  # so many that more than 20 are left after the failover: these still share a run
PATIENCE = 240.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def fresh(app: App) -> int:
    try:
        return survivors.fresh(app)
    except DBAPIError:  # for the moment of the failover
        return 0


@pytest.mark.timeout(600)
def test_the_daemon_goes_on_by_itself(pair: Pair, simulator: Simulator, tmp_path: Path) -> None:
    names = [f"w{number:03}" for number in range(WORKSPACES)]
    crowd.found(simulator, SLACK, names, survivors.ITEMS)
    environ = survivors.environ(simulator)
    expected = survivors.undisturbed(environ, pair.primary.create_database("undisturbed"), names)
    pair.primary.create_database("shop")
    url = pair.url("shop")
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    app = App.load({**environ, "DATABASE_URL": url})
    crowd.connect(app, SLACK, names)
    simulator.order("/latency", seconds=1)  # on a busy machine, too, most are still to be read when it fails over
    instance = survivors.instance(INSTANCE, tmp_path)
    with Deployment(url, tmp_path / "dagster", environ, instance=instance) as deployment:
        deployment.start(CODE_SERVER, DAEMON)
        with app.engine.begin() as conn:
            mark_due(conn, "slack", datetime.now(UTC))
        deployment.wait("the first workspaces", lambda: fresh(app) >= 3, PATIENCE)
        pair.fail_over()
        app.any_engine.dispose()  # ours shall look at the new primary
        simulator.order("/latency", seconds=0)
        assert fresh(app) < WORKSPACES
        deployment.wait("all workspaces", lambda: fresh(app) == WORKSPACES, PATIENCE)
        processes = [deployment.processes[name].poll() for name in (CODE_SERVER, DAEMON)]
        assert processes == [None, None]  # nobody had to start them again
        deployment.kill_all()
    assert survivors.checksum(app) == expected
    assert survivors.rewritten(app) == 0
    app.any_engine.dispose()
