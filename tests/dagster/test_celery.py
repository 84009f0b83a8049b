"""More machines, for real: a Redis, two Celery workers, one of them killed in the middle."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, Deployment, free_port
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.queue import mark_due
from ingest_simulator import embedded
from tests import needs, survivors

WORKSPACES = 200
PATIENCE = 240.0
WORKERS = ("worker one", "worker two")
WORKER = ["dagster-celery", "worker", "start", "-A", "dagster_celery.app", "-y", "deploy/celery/worker.yaml"]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis on loopback, with nothing on disk."""
    program, port = needs.program("redis-server", "redis-server"), free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        yield f"redis://127.0.0.1:{port}"
        process.terminate()


@pytest.mark.timeout(420)
def test_a_killed_worker_loses_nothing(
    redis: str,
    simulator: Simulator,
    postgres: embedded.Server,
    database_url: str,
    tmp_path: Path,
) -> None:
    names = [f"w{number:03}" for number in range(WORKSPACES)]
    crowd.found(simulator, SLACK, names, survivors.ITEMS)
    environ = survivors.environ(simulator) | {
        "INGEST_BATCH_WORKSPACES": "50",
        "INGEST_PARALLEL_BATCHES": "4",
        "CELERY_BROKER_URL": f"{redis}/0",
        "CELERY_RESULT_BACKEND": f"{redis}/1",
    }
    expected = survivors.undisturbed(environ, postgres.create_database(f"{postgres_name(database_url)}_u"), names)
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.connect(app, SLACK, names)
    simulator.order("/latency", seconds=0.2)
    instance = survivors.instance(Path("deploy/celery/dagster.yaml"), tmp_path)
    with Deployment(database_url, tmp_path / "dagster", environ, instance=instance) as deployment:
        deployment.start(CODE_SERVER, DAEMON)
        for name in WORKERS:
            deployment.run(name, [*WORKER, "-n", name.replace(" ", "-"), "--", "--concurrency=1"])
        with app.engine.begin() as conn:
            mark_due(conn, "slack", datetime.now(UTC))
        deployment.wait("the first workspaces", lambda: survivors.fresh(app) >= 20, PATIENCE)
        deployment.kill(WORKERS[0])
        killed_at = time.monotonic()
        assert survivors.fresh(app) < WORKSPACES
        simulator.order("/latency", seconds=0)
        deployment.wait("all workspaces", lambda: survivors.fresh(app) == WORKSPACES, PATIENCE)
        assert (
            time.monotonic() - killed_at > 5
        )  # nobody else had the dead worker's accounts before its lease ended
    assert survivors.checksum(app) == expected
    assert survivors.rewritten(app) == 0
    with app.engine.connect() as conn:
        ended = conn.execute(text("select count(*) from runs where status = 'FAILURE'")).scalar_one()
    assert ended == 1  # the dead worker's run: found, and said so
    app.any_engine.dispose()


def postgres_name(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]
