"""Episodes of the soup, until the time is over; what fails is shortened to the steps that it takes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

import httpx

from tests.databases import Databases
from tests.proof.episode import Episode
from tests.proof.steps import LENGTH, NAMES, Step, steps_of, without
from tests.proof.tally import Tally, Untrue
from tests.workbench import Bench, VirtualClock

PATIENCE = 90.0  # seconds that a failure is shortened


@dataclass(frozen=True)
class Failure:
    """An episode that showed something untrue."""

    source: str
    seed: int
    steps: Sequence[Step]
    what: str
    log: Sequence[str]

    def __str__(self) -> str:
        lines = [f"{self.source}, seed {self.seed}, {len(self.steps)} steps:", *self.log, self.what]
        return "\n".join(lines)


class Soup:
    """Runs episodes, each with a database and a simulator of its own."""

    def __init__(self, sim: httpx.Client, databases: Databases, killer: subprocess.Popen[str]) -> None:
        self.sim, self.databases, self.killer = sim, databases, killer
        self.tally = Tally()

    def episode(self, source: str, seed: int, steps: Sequence[Step]) -> Failure | None:
        """Run one; return what was untrue."""
        self.sim.post("/_sim/reset").raise_for_status()
        with self.databases.one() as url, closing(Bench(self.sim, url, VirtualClock(self.sim))) as bench:
            episode = Episode(bench, self.killer, source, seed)
            try:
                episode.run(steps)
            except Untrue as error:
                return Failure(source, seed, steps, str(error), episode.log)
            finally:
                self.tally += episode.tally
        return None

    def seeded(self, source: str, seed: int, length: int = LENGTH) -> Failure | None:
        return self.episode(source, seed, steps_of(source, seed, length))

    def shortened(self, failure: Failure) -> Failure:
        """Leave out steps for as long as something untrue of the same kind remains."""
        until = monotonic() + PATIENCE
        size = max(1, len(failure.steps) // 2)
        while size and monotonic() < until:
            first = 0
            while first < len(failure.steps) and monotonic() < until:
                found = self.episode(failure.source, failure.seed, without(failure.steps, first, size))
                if found is not None and _kind(found) == _kind(failure):
                    failure = found
                else:
                    first += size
            size //= 2
        return failure

    def for_seconds(self, seconds: float, seed: int, sources: Sequence[str] = NAMES) -> Iterator[Failure]:
        """Run seeds from one on, source by source, until the time is over; yield what was untrue."""
        until = monotonic() + seconds
        while monotonic() < until:
            for source in sources:
                if (found := self.seeded(source, seed)) is not None:
                    yield found
            seed += 1


def _kind(failure: Failure) -> str:
    lines = failure.what.splitlines()
    return (lines[1] if len(lines) > 1 else lines[0]).partition(":")[0]
