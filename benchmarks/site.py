"""A deployment under test: its database, its customers, and what one pass over them costs."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, Deployment, cpu_times, descendants
from benchmarks.stage import Stage
from ingest_assets.app import App
from ingest_assets.sources.source import Source
from ingest_assets.storage import queue
from ingest_assets.storage.vault import new_key

ITEMS = 3  # in each customer's first world
PATIENCE = 3600.0


@dataclass(frozen=True)
class Wave:
    """One pass over all workspaces."""

    seconds: float
    cpu: Mapping[str, float]
    simulator: float
    runs: float
    events: float
    written: float
    """Bytes of PostgreSQL's write-ahead log."""

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu.values())

    def told(self) -> str:
        by = ", ".join(f"{name} {seconds:.1f}" for name, seconds in sorted(self.cpu.items()))
        return (
            f"{self.seconds:.0f} s, {self.cpu_seconds:.1f} CPU-s ({by}; simulator {self.simulator:.1f}), "
            f"{self.runs} runs, {self.events} events, {self.written / 1e6:.1f} MB written"
        )


def mean(waves: Sequence[Wave]) -> Wave:
    """Return the average pass."""
    count = len(waves)
    return Wave(
        sum(wave.seconds for wave in waves) / count,
        {name: sum(wave.cpu.get(name, 0.0) for wave in waves) / count for name in waves[0].cpu},
        sum(wave.simulator for wave in waves) / count,
        sum(wave.runs for wave in waves) / count,
        sum(wave.events for wave in waves) / count,
        sum(wave.written for wave in waves) / count,
    )


class Site:
    """A deployment, its database and its customers."""

    def __init__(self, ready: Stage, url: str, home: Path) -> None:
        self.simulator = ready.simulator
        self.ready = ready
        environ = {**crowd.environ(ready.simulator), "INGEST_ENCRYPTION_KEYS": new_key()}
        self.environ = {**environ, "DATABASE_URL": url}
        self.app = App.load(self.environ)
        self.deployment = Deployment(url, home, environ)
        self.simulator.order("/reset")

    def join(self, source: Source, names: Sequence[str]) -> None:
        """Make customers and connect them."""
        crowd.found(self.simulator, source, names, ITEMS)
        crowd.connect(self.app, source, names)

    def one(self, statement: str, **params: Any) -> Any:
        with self.app.engine.connect() as conn:
            return conn.execute(text(statement), params).scalar_one()

    def wave(self, what: str, sources: Sequence[Source], expected: int) -> Wave:
        """Call everybody up as a tick does, and wait until that many accounts are fresh and no run is left."""
        before, wal, simulator = self._cpu(), self._wal(), self._simulator_cpu()
        runs, events = self._count("runs"), self._count("event_logs")
        began, now = time.monotonic(), datetime.now(UTC)
        with self.app.engine.begin() as conn:
            for source in sources:
                queue.mark_due(conn, source.name, now)
        told = -1

        def over() -> bool:
            nonlocal told
            fresh = self.one("select count(*) from ingest.accounts where last_success_at >= :now", now=now)
            if fresh // max(1, expected // 10) != told:
                told = fresh // max(1, expected // 10)
                print(f"{what}: {fresh} of {expected} after {time.monotonic() - began:.0f} s", flush=True)
            live = self.one("select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')")
            return bool(fresh >= expected and live == 0)

        self.deployment.wait(what, over, PATIENCE)
        after = self._cpu()
        wave = Wave(
            time.monotonic() - began,
            {name: after[name] - before.get(name, 0.0) for name in after},
            self._simulator_cpu() - simulator,
            self._count("runs") - runs,
            self._count("event_logs") - events,
            self._wal() - wal,
        )
        print(f"{what}: {wave.told()}", flush=True)
        return wave

    def _cpu(self) -> dict[str, float]:
        return {**self.deployment.cpu(), "PostgreSQL": tree(self.ready.postgres_pid)}

    def _simulator_cpu(self) -> float:
        return tree(self.ready.simulator_pid)

    def _count(self, table: str) -> int:
        return int(self.one(f"select count(*) from {table}"))

    def _wal(self) -> int:
        return int(self.one("select pg_current_wal_lsn() - '0/0'::pg_lsn"))


def tree(pid: int) -> float:
    return sum(cpu_times(pid)) + sum(sum(cpu_times(child)) for child in descendants(pid))


@contextmanager
def site_of(ready: Stage) -> Iterator[Site]:
    with ready.database(migrated=True) as url, tempfile.TemporaryDirectory(prefix="ingest-assets-scale-") as home:
        site = Site(ready, url, Path(home))
        try:
            with site.deployment as deployment:
                deployment.start(CODE_SERVER, DAEMON)
                yield site
        finally:
            site.app.engine.dispose()
