"""A source with few, large answers: how many calls a sync makes, and what it costs beside a bare copy.

Only ratios within one run have targets: they hold on any machine, seconds do not.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from psycopg import connect

from benchmarks.measure import Cost, cpu, ratio, wall
from benchmarks.results import Result, at_most, below, exactly
from benchmarks.stage import Simulator, Stage
from ingest_assets.app import App
from ingest_assets.cli.connecting import connect_account
from ingest_assets.sources.source import Source
from ingest_assets.storage.vault import new_key

WORKSPACE = "bench"
ROUNDS, SLOW_ROUNDS = 7, 3
LATENCY = 0.1  # seconds a request
WALL_LIMIT, CPU_LIMIT, SLOW_LIMIT = 2.5, 3, 1.5  # times the yardstick
YARDSTICK, PARTS, OURS = "yardstick", "the parts alone", "ours"
PACED_LIMIT = 1.2  # times what the vendor's limits allow
PEAK_LIMIT = 250  # megabytes


@dataclass(frozen=True)
class Job:
    """What is measured of one source."""

    source: Source
    yardstick: str
    """A module of this package that fetches and copies the same pages."""
    found: Callable[[Simulator, int], dict[str, str]]
    """Make a customer with so many items; return how the simulator's orders name it."""
    environ: Callable[[Simulator], dict[str, str]]
    secrets: Mapping[str, str]
    """Environment variables, by the names that `given` refers to."""
    given: Mapping[str, Any]
    items: str
    few: int
    first_calls: int
    next_calls: int
    many: int
    count_bare: str
    paced: int
    """How many items the run under the vendor's limits has."""
    least_seconds: Callable[[int], float]
    """(requests) -> how long the vendor's limits make them take at least."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: str | None = None
    """A module that makes the same rows with ours' client and records alone (see `parts`)."""
    cpu_limit: float = CPU_LIMIT
    more: Callable[[], Iterator[Result]] = lambda: iter(())
    """Figures of this source alone."""


def benchmark(job: Job, stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    name = job.source.title
    yield from _calls(job, stage)
    job.found(stage.simulator, job.many)
    contenders = [YARDSTICK, *([PARTS] if job.parts else []), OURS]
    rounds = [_round(job, stage, number, 0, contenders) for number in range(1, ROUNDS + 1)]
    runs = {who: [one[who] for one in rounds] for who in contenders}
    what = f"{name}, {job.many} {job.items}"
    for who in contenders:
        yield exactly(f"{what}, {who}: rows", min(run.rows for run in runs[who]), "rows", job.many)
        yield Result(f"{what}, {who}: requests", max(run.requests for run in runs[who]), "requests")
        yield Result(f"{what}, {who}: wall time", _wall(runs[who]), "s")
    for kind in (WALL, CPU):
        yield from _ratios(job, f"{what}, ", kind, runs)
    stage.simulator.order("/latency", seconds=LATENCY)
    slow = [_round(job, stage, number, LATENCY, [YARDSTICK, OURS]) for number in range(1, SLOW_ROUNDS + 1)]
    slow_ours = [one[OURS] for one in slow]
    slow_ratio = WALL.ratio(slow_ours, [one[YARDSTICK] for one in slow])
    at = f"at {LATENCY * 1000:.0f} ms a request"
    yield at_most(f"{what}, ours / yardstick {at}: wall time", slow_ratio, "x", SLOW_LIMIT)
    peak = max(run.cost.peak_megabytes for run in runs[OURS] + slow_ours)
    yield below(f"{name}, ours: peak memory", peak, "MB", PEAK_LIMIT)
    yield from _paced(job, stage)
    yield from job.more()


@dataclass(frozen=True)
class Run:
    """One contender, once."""

    cost: Cost
    rows: int
    requests: int


def _calls(job: Job, stage: Stage) -> Iterator[Result]:
    """Count the requests of a first sync and of one that finds nothing new."""
    what = f"{job.source.title}, {job.few} {job.items}"
    print(f"{job.source.name}: counting the calls of a first and of a second sync")
    job.found(stage.simulator, job.few)
    with stage.database(migrated=True) as url:
        environ = connected(job, stage.simulator, url)
        first = _ours(job, stage, environ)
        yield at_most(f"{what}, first sync: API calls", first.requests, "calls", job.first_calls)
        yield exactly(f"{what}, first sync: rows", first.rows, "rows", job.few)
        second = _ours(job, stage, environ)
        yield at_most(f"{what}, nothing new: API calls", second.requests, "calls", job.next_calls)


def _paced(job: Job, stage: Stage) -> Iterator[Result]:
    """Sync with the vendor's limits on, and ours that stay under them."""
    what = f"{job.source.title}, {job.paced} {job.items} under the vendor's limits"
    print(f"{job.source.name}: a sync of {job.paced} {job.items} under the vendor's limits takes its time")
    stage.simulator.order("/latency", seconds=0)
    customer = job.found(stage.simulator, job.paced)
    with stage.database(migrated=True) as url:
        pacing = {f"{job.source.name.upper()}_PACING": "true"}
        environ = connected(job, stage.simulator, url) | pacing
        # from now on: what connecting asked for would count, too
        stage.simulator.order(f"/{job.source.name}/settings", **customer, enforce_limits=True)
        since = stage.simulator.requests()
        run = _ours(job, stage, environ)
        counts = stage.simulator.ask("/ledger/counts", since=since)
    yield exactly(f"{what}: rows", run.rows, "rows", job.paced)
    yield exactly(f"{what}: refusals (429)", counts["throttled"], "answers", 0)
    least = job.least_seconds(run.requests)
    yield at_most(f"{what}: wall time / what they allow", run.cost.wall_seconds / least, "x", PACED_LIMIT)


def _round(job: Job, stage: Stage, number: int, latency: float, contenders: Sequence[str]) -> dict[str, Run]:
    """Run contenders, each into a fresh database."""
    runs: dict[str, Run] = {}
    for who in contenders:
        with stage.database(migrated=who != YARDSTICK) as url:
            runs[who] = _contend(job, stage, who, url)
    told = "; ".join(f"{who} {_told(run)}" for who, run in runs.items())
    print(f"{job.source.name}: round {number} with {latency * 1000:.0f} ms latency: {told}")
    return runs


def _contend(job: Job, stage: Stage, who: str, url: str) -> Run:
    if who == YARDSTICK:
        environ = job.environ(stage.simulator) | dict(job.secrets) | {"DATABASE_URL": url}
        return _run(stage, job.yardstick, environ, job.count_bare)
    environ = connected(job, stage.simulator, url)
    return _ours(job, stage, environ, job.parts if who == PARTS and job.parts else "contender")


def _told(run: Run) -> str:
    cost = run.cost
    return f"{cost.wall_seconds:.2f} s, {cost.cpu_seconds:.2f} s CPU, {cost.peak_megabytes:.0f} MB"


def _ours(job: Job, stage: Stage, environ: Mapping[str, str], module: str = "contender") -> Run:
    count = f"select count(*) from {job.source.main.table.fullname} where deleted_at is null"
    return _run(stage, module, environ, count)


def _run(stage: Stage, module: str, environ: Mapping[str, str], count: str) -> Run:
    since = stage.simulator.requests()
    cost = stage.run(module, environ)
    return Run(cost, _count(environ["DATABASE_URL"], count), stage.simulator.requests(since))


def connected(job: Job, simulator: Simulator, database_url: str) -> dict[str, str]:
    """Connect the account; its own requests are over before anything is counted."""
    environ = (
        job.environ(simulator)
        | dict(job.secrets)
        | {
            "DATABASE_URL": database_url,
            "INGEST_ENCRYPTION_KEYS": new_key(),
        }
    )
    os.environ.update(job.secrets)
    app = App.load(environ)
    connect_account(app, job.source, WORKSPACE, given=job.given, settings=job.settings, name=None, read_secret=str)
    app.engine.dispose()
    return environ


def _count(database_url: str, query: str) -> int:
    with connect(database_url) as conn:
        found = conn.execute(query).fetchone()
    assert found is not None
    count: int = found[0]
    return count


def _wall(runs: Sequence[Run]) -> float:
    return median(wall(run.cost) for run in runs)


@dataclass(frozen=True)
class _Kind:
    """A kind of cost."""

    name: str
    of: Callable[[Cost], float]
    layers_limit: float
    """Times the parts alone."""

    def ratio(self, ours: Sequence[Run], others: Sequence[Run]) -> float:
        return ratio([run.cost for run in ours], [run.cost for run in others], self.of)


WALL, CPU = _Kind("wall time", wall, 1.6), _Kind("client CPU", cpu, 2)


def _ratios(job: Job, what: str, kind: _Kind, runs: Mapping[str, Sequence[Run]]) -> Iterator[Result]:
    """Compare ours with the parts alone, where there are such, and else with the yardstick."""
    name, figure = f"{what}ours / {YARDSTICK}: {kind.name}", kind.ratio(runs[OURS], runs[YARDSTICK])
    if PARTS not in runs:
        yield at_most(name, figure, "x", WALL_LIMIT if kind is WALL else job.cpu_limit)
        return
    yield Result(name, figure, "x")
    figure = kind.ratio(runs[PARTS], runs[YARDSTICK])
    yield Result(f"{what}{PARTS} / {YARDSTICK}: {kind.name}", figure, "x")
    figure = kind.ratio(runs[OURS], runs[PARTS])
    yield at_most(f"{what}ours / {PARTS}: {kind.name}", figure, "x", kind.layers_limit)
