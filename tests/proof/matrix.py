"""The crash matrix: an operation is killed at each commit, done again, and compared with one that was not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
import httpx

from ingest_assets.sources.login import Clock
from tests.databases import Databases
from tests.proof.contents import Contents, Snapshot, contents, difference
from tests.proof.operations import KEY, OPERATIONS, WORKSPACE
from tests.sources.tenants import TENANTS, Tenant
from tests.workbench import Bench, VirtualClock

MOST = 200  # commits of an operation; more is a loop
ROUNDS = 2  # runs until nothing is left to do: Gong's lists of names take turns, a list a sync
EXPIRED = (
    "update ingest.accounts set lease_until = now() - interval '1 second' where lease_until is not null",
    "update ingest.leases set until = now() - interval '1 second'",
)
"""What the passing of a lease's length does."""


def one_authority(folder: Path) -> str:
    """Write a file with the first of the certificate authorities: to read all takes as long as a short sync."""
    path, end = folder / "authority.pem", "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    return str(path)


@contextmanager
def killer() -> Iterator[subprocess.Popen[str]]:
    """Run the process that forks."""
    arguments = [sys.executable, "-m", "tests.proof.killing"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  (our own)
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Outcome:
    """What one operation of one source came to."""

    operation: str
    source: str
    commits: int = 0
    kills: int = 0
    calls: int = 0
    """Requests of the run that was not killed."""
    most_calls: int = 0
    """Requests of a killed run and the one after it, at most."""
    faults: list[str] = field(default_factory=list)


class Matrix:
    """One operation of one source, at a prepared place to begin."""

    def __init__(self, bench: Bench, process: subprocess.Popen[str], operation: str, source: str) -> None:
        bench.configure(
            OPENAI_API_KEY=KEY,
            OPENAI_BASE_URL=f"{bench.sim.base_url}/openai/v1",
            OPENAI_MODEL="gpt-test",
            SLACK_WATCH_DAYS="1",
        )
        self.bench, self._process = bench, process
        self.outcome = Outcome(operation, source)
        self.operation = OPERATIONS[operation]
        tenant: Tenant = TENANTS[source](bench, WORKSPACE).connected()
        self.source = tenant.source
        self.operation.prepare(tenant)
        self._imports: list[str] = []
        self.now = datetime.now(UTC)
        bench.order("clock", now=self.now.isoformat(), frozen=True)  # cursors of all runs are alike
        self.snapshot = Snapshot(bench.engine)

    def run(self, *, whole: bool) -> Outcome:
        """Kill before each commit and after the last; `whole`: after each.

        To the tables a kill after a commit is one before the next; it differs by the requests made in between.
        """
        outcome = self.outcome
        undisturbed = self._ordered(0, before=True)
        outcome.commits, outcome.calls = undisturbed["commits"], undisturbed["calls"]
        for _ in range(ROUNDS - 1):
            self._again()
        self._imports = undisturbed["imported"]
        wanted = contents(self.bench.engine)
        for at in range(1, min(outcome.commits, MOST) + 1):
            self._kill(at, wanted, before=True)
            if whole or at == outcome.commits:
                self._kill(at, wanted, before=False)
        return outcome

    def _kill(self, at: int, wanted: Contents, *, before: bool) -> None:
        outcome = self.outcome
        self.snapshot.restore()
        killed = self._ordered(at, before=before)
        since = self.bench.requests()
        self._again()
        outcome.kills += killed["killed"]
        outcome.most_calls = max(outcome.most_calls, killed["calls"] + self.bench.requests() - since)
        held = contents(self.bench.engine)
        for _ in range(ROUNDS - 1):
            if held != wanted:
                self._again()
                held = contents(self.bench.engine)
        if not killed["killed"] and killed.get("code"):
            outcome.faults.append(f"commit {at}: ended with {killed['code']}")
        if held != wanted:
            where = "before" if before else "after"
            outcome.faults.append(f"killed {where} commit {at}:\n{difference(held, wanted)}")

    def _again(self) -> None:
        """Carry it out in another worker, once the leases of the killed one are over."""
        for statement in EXPIRED:
            self.bench.execute(statement)
        clock = Clock(now=lambda: self.now)
        self.operation.run(self.bench.app, self.source, clock, "the next worker")

    def _ordered(self, at: int, *, before: bool) -> dict[str, Any]:
        """Have it carried out in a fork; `at` 0: to its end."""
        since = self.bench.requests()
        order = {
            "operation": self.outcome.operation,
            "source": self.outcome.source,
            "environ": self.bench.environ,
            "now": self.now.isoformat(),
            "at": at,
            "before": before,
            "imports": self._imports,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told | {"calls": self.bench.requests() - since}


def outcomes(sim: httpx.Client, databases: Databases, process: subprocess.Popen[str]) -> Iterator[Outcome]:
    """Run the whole matrix."""
    for operation, one in OPERATIONS.items():
        for source in one.sources:
            sim.post("/_sim/reset").raise_for_status()
            with databases.one() as url, closing(Bench(sim, url, VirtualClock(sim))) as bench:
                yield Matrix(bench, process, operation, source).run(whole=True)
