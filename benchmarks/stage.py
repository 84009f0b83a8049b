"""Where the contenders meet: a durable PostgreSQL, the simulator in a process of its own, a process for each."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.measure import Cost
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_simulator import embedded

ANNOUNCEMENT = "simulator listening on "
ORDER_SECONDS = 300  # the simulator may take this long to make a large world
CONTENDER_SECONDS = 900
OURS = ("DATABASE_URL", "INGEST_", "GOOGLE_", "OPENAI_", *(f"{name.upper()}_" for name in BY_NAME))
"""What the environment of whoever starts the benchmarks must not decide."""


class BenchmarkError(Exception):
    """The benchmarks cannot go on."""


class Simulator:
    """The simulated vendors, by their control plane."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=ORDER_SECONDS)

    def close(self) -> None:
        self._client.close()

    def order(self, path: str, **fields: Any) -> Any:
        answer = self._client.post(f"/_sim{path}", json=fields)
        if answer.is_error:
            raise BenchmarkError(f"The simulator refused {path}: {answer.text}")
        return answer.json()

    def ask(self, path: str, **fields: Any) -> Any:
        return self._client.get(f"/_sim{path}", params=fields).raise_for_status().json()

    def requests(self, since: int = 0) -> int:
        """Count the vendors' requests from a number on, by the simulator's own ledger."""
        total: int = self.ask("/ledger/counts", since=since)["total"]
        return total


class Stage:
    """What the parts of a benchmark work with."""

    def __init__(self, postgres: embedded.Server, simulator: Simulator, simulator_pid: int) -> None:
        self.simulator = simulator
        self.simulator_pid = simulator_pid
        self.postgres_pid = postgres.pid
        self._postgres = postgres
        self._template = f"migrated_{uuid4().hex[:12]}"
        engine = connect(postgres.create_database(self._template))
        migrate(engine)
        engine.dispose()

    @contextmanager
    def database(self, *, migrated: bool) -> Iterator[str]:
        """Yield the address of a database that lasts as long as the block."""
        name = f"bench_{uuid4().hex[:12]}"
        yield self._postgres.create_database(name, template=self._template if migrated else "template1")
        self._postgres.drop_database(name)

    def run(self, contender: str, environ: Mapping[str, str]) -> Cost:
        """Run a module of this package in a fresh process and give what it says its work cost."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        done = subprocess.run(  # noqa: S603  our own module
            [sys.executable, "-m", f"benchmarks.{contender}"],
            env={**given, **environ},
            stdout=subprocess.PIPE,
            text=True,
            timeout=CONTENDER_SECONDS,
            check=False,
        )
        if done.returncode:
            raise BenchmarkError(f"{contender} ended with exit code {done.returncode}; its errors are above.")
        return Cost(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def stage() -> Iterator[Stage]:
    """Set the stage up, and take it down."""
    directory = Path(tempfile.mkdtemp(prefix="ingest-assets-bench-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)  # runs after the server's own, younger farewell
    postgres = embedded.start(directory / "postgres")
    with _simulator() as (url, pid), closing(Simulator(url)) as simulator:
        yield Stage(postgres, simulator, pid)


@contextmanager
def _simulator() -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "ingest_simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(ANNOUNCEMENT):
                raise BenchmarkError("The simulator did not start; its errors are above.")
            yield line.removeprefix(ANNOUNCEMENT).strip(), process.pid
        finally:
            process.terminate()
