"""What it costs that nothing is lost: coverage of many workspaces, the audit, versions, and erasing."""

from collections.abc import Iterator

from benchmarks import audit, coverage, erasing, versions
from benchmarks.results import Result
from benchmarks.stage import Stage


def benchmark(stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    yield from coverage.benchmark(stage)
    yield from audit.benchmark(stage)
    yield from versions.benchmark(stage)
    yield from erasing.benchmark(stage)
