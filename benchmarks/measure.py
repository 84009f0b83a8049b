"""What a contender's own process spent on its work.

CPU    user + system time of the process and of children it waited for, around the work alone: the
       interpreter's start and the imports, which differ from library to library, are counted for nobody
wall   the same stretch by the clock
peak   the largest resident size of the whole process, imports included
"""

import gc
import json
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in ru_maxrss's unit
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Cost:
    """What one piece of work took."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def peak_megabytes(self) -> float:
        return self.peak_bytes / MEGABYTE


def cpu(cost: Cost) -> float:
    return cost.cpu_seconds


def wall(cost: Cost) -> float:
    return cost.wall_seconds


def ratio(ours: Sequence[Cost], yardstick: Sequence[Cost], what: Callable[[Cost], float]) -> float:
    """Return the middle one of the rounds' ratios.

    Both contenders of a round meet the same machine; the best of all rounds may come from different ones.
    """
    return median(what(one) / what(other) for one, other in zip(ours, yardstick, strict=True))


@contextmanager
def told() -> Iterator[None]:
    """Measure the block and tell the parent process on standard output; nothing is told if it raises."""
    gc.collect()
    cpu, wall = _cpu(), perf_counter()
    yield
    wall, cpu = perf_counter() - wall, _cpu() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    print(json.dumps({"wall_seconds": wall, "cpu_seconds": cpu, "peak_bytes": peak}))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
