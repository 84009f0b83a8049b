"""What it costs that nothing is lost: coverage of many workspaces, versions, and the audit of what is old."""

from collections.abc import Iterator

from benchmarks import audit, coverage, versions
from benchmarks.results import Result
from benchmarks.stage import Stage


def benchmark(stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    yield from coverage.benchmark(stage)
    yield from audit.benchmark(stage)
    yield from versions.benchmark(stage)
