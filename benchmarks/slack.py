"""Slack: how many calls a sync makes, and what fetching and storing 50,000 rows costs beside a bare copy.

Only ratios within one run have targets: they hold on any machine, seconds do not.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from psycopg import connect

from benchmarks.measure import Cost, cpu, ratio, wall
from benchmarks.results import Result, at_most, below, exactly
from benchmarks.stage import Simulator, Stage
from ingest_assets.app import App
from ingest_assets.cli.connecting import connect_account
from ingest_assets.sources.slack import SLACK

TOKEN_VARIABLE, TOKEN = "BENCH_SLACK_TOKEN", "xoxb-benchmark"
WORKSPACE = "bench"
PEOPLE = 30

ONE_CHANNEL = {
    "channels": 1,
    "messages": 1_000,
    "threads": 100,
    "replies": 5,
    "span_hours": 20,
    "ends_hours_ago": 20 * 24,
}
FIRST_CALLS = 104
"""users.list, users.conversations, 2 pages of history, 100 threads."""
NEXT_CALLS = 4
"""users.conversations, 2 pages of history, the one thread that changed."""
LATE, EDITED = "A late reply.", "Edited meanwhile."
FIND = "select count(*) from raw.slack_messages where external_id = %s and text = %s and conversation_id = %s"

MANY_CHANNELS = {"channels": 20, "messages": 2_000, "threads": 100, "replies": 5, "span_hours": 20 * 24}
ROUNDS, SLOW_ROUNDS = 5, 3
LATENCY = 0.1  # seconds a request
FAST_LIMIT, SLOW_LIMIT = 3, 1.3  # times the yardstick
LAYERS_LIMIT = 1.3  # times the parts alone
PEAK_LIMIT = 200  # megabytes


@dataclass(frozen=True)
class Contender:
    """A module that fetches the workspace into a database, and how to count what it stored."""

    title: str
    module: str
    count_rows: str
    migrated: bool = False


OURS = Contender(
    "ours", "contender", "select count(*) from raw.slack_messages where deleted_at is null", migrated=True
)
YARDSTICK = Contender("yardstick", "yardstick", "select count(*) from messages")
PARTS = Contender("the parts alone", "parts_slack", OURS.count_rows, migrated=True)
DLT = Contender("dlt", "with_dlt", "select count(*) from slack.messages")


@dataclass(frozen=True)
class Run:
    """One contender, once."""

    cost: Cost
    rows: int
    requests: int


def benchmark(stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    yield from _calls(stage)
    workspace(stage.simulator, MANY_CHANNELS)
    rounds = [_round(stage, number, 0, YARDSTICK, PARTS, OURS) for number in range(1, ROUNDS + 1)]
    bare, parts, ours = zip(*rounds, strict=True)
    yield from _throughput(bare, parts, ours)
    if find_spec("dlt") is None:
        print("slack: no comparison with dlt, which is not installed (pip install 'ingest-assets[bench]')")
    else:
        yield from _against_dlt(_contend(stage, DLT), bare, ours)
    stage.simulator.order("/latency", seconds=LATENCY)
    slow = [_round(stage, number, LATENCY, YARDSTICK, OURS) for number in range(1, SLOW_ROUNDS + 1)]
    slow_bare, slow_ours = zip(*slow, strict=True)
    yield from _waiting(slow_bare, slow_ours)
    peak = max(run.cost.peak_megabytes for run in ours + slow_ours)
    yield below("Slack, ours: peak memory", peak, "MB", PEAK_LIMIT)


def _calls(stage: Stage) -> Iterator[Result]:
    """Count the requests of a first sync, and of the one after a late reply and an edit."""
    print("slack: counting the calls of a small channel's syncs")
    team = workspace(stage.simulator, ONE_CHANNEL)
    with stage.database(migrated=True) as url:
        environ = connected(stage.simulator, url)
        first = run(stage, OURS, environ)
        yield at_most("Slack, first sync of 1 channel: API calls", first.requests, "calls", FIRST_CALLS)
        yield exactly("Slack, first sync of 1 channel: rows", first.rows, "rows", rows_of(ONE_CHANNEL))

        [channel] = stage.simulator.ask("/slack/state", team=team)["channels"]
        place = {"team": team, "channel": channel["id"]}
        alone = [one for one in channel["messages"] if one["thread_ts"] is None and one["subtype"] is None]
        parent = next(one["ts"] for one in channel["messages"] if one["reply_count"])
        edited = alone[len(alone) // 2]["ts"]
        late = stage.simulator.order("/slack/post", **place, text=LATE, thread_ts=parent)["ts"]
        stage.simulator.order("/slack/edit", **place, ts=edited, text=EDITED)

        second = run(stage, OURS, environ)
        yield at_most("Slack, after a late reply and an edit: API calls", second.requests, "calls", NEXT_CALLS)
        for what, ts, text, thread in (("late reply", late, LATE, parent), ("edit", edited, EDITED, edited)):
            names = [f"{channel['id']}:{ts}", text, f"{channel['id']}:{thread}"]
            yield exactly(
                f"Slack, after a late reply and an edit: the {what} is stored", _count(url, FIND, names), "rows", 1
            )


def _round(stage: Stage, number: int, latency: float, *contenders: Contender) -> tuple[Run, ...]:
    """Run contenders, each into a fresh database."""
    runs = tuple(_contend(stage, contender) for contender in contenders)
    told = "; ".join(map(_told, contenders, runs))
    print(f"slack: round {number} with {latency * 1000:.0f} ms latency: {told}")
    return runs


def _told(contender: Contender, run: Run) -> str:
    cost = run.cost
    return (
        f"{contender.title} {cost.wall_seconds:.2f} s, {cost.cpu_seconds:.2f} s CPU, {cost.peak_megabytes:.0f} MB"
    )


def _throughput(bare: Sequence[Run], parts: Sequence[Run], ours: Sequence[Run]) -> Iterator[Result]:
    wanted = rows_of(MANY_CHANNELS)
    for contender, runs in ((YARDSTICK, bare), (PARTS, parts), (OURS, ours)):
        who = f"Slack, {contender.title}"
        yield exactly(f"{who}: rows", _furthest(runs, wanted), "rows", wanted)
        yield Result(f"{who}: requests", max(run.requests for run in runs), "requests")
        yield Result(f"{who}: CPU a row", _cpu(runs) / wanted * 1e6, "us")
        yield Result(f"{who}: rows a second", wanted / _wall(runs), "rows/s")
    yield at_most("Slack, ours / yardstick: client CPU", _ratio(ours, bare, cpu), "x", FAST_LIMIT)
    yield at_most("Slack, ours / yardstick: wall time", _ratio(ours, bare, wall), "x", FAST_LIMIT)
    yield Result("Slack, the parts alone / yardstick: client CPU", _ratio(parts, bare, cpu), "x")
    yield at_most("Slack, ours / the parts alone: client CPU", _ratio(ours, parts, cpu), "x", LAYERS_LIMIT)


def _waiting(bare: Sequence[Run], ours: Sequence[Run]) -> Iterator[Result]:
    wanted, at = rows_of(MANY_CHANNELS), f"at {LATENCY * 1000:.0f} ms a request"
    for contender, runs in ((YARDSTICK, bare), (OURS, ours)):
        yield exactly(f"Slack, {contender.title} {at}: rows", _furthest(runs, wanted), "rows", wanted)
        yield Result(f"Slack, {contender.title} {at}: wall time", _wall(runs), "s")
    yield at_most(f"Slack, ours / yardstick {at}: wall time", _ratio(ours, bare, wall), "x", SLOW_LIMIT)


def _against_dlt(dlt: Run, bare: Sequence[Run], ours: Sequence[Run]) -> Iterator[Result]:
    """Compare one load by dlt, of the same workspace, with the others."""
    print(f"slack: {_told(DLT, dlt)}")
    wanted = rows_of(MANY_CHANNELS)
    yield exactly("Slack, dlt: rows", dlt.rows, "rows", wanted)
    yield Result("Slack, dlt: requests", dlt.requests, "requests")
    yield Result("Slack, dlt: CPU a row", _cpu([dlt]) / wanted * 1e6, "us")
    yield Result("Slack, dlt: peak memory", dlt.cost.peak_megabytes, "MB")
    for contender, runs in ((YARDSTICK, bare), (OURS, ours)):
        yield Result(f"Slack, dlt / {contender.title}: client CPU", _cpu([dlt]) / _cpu(runs), "x")
        yield Result(f"Slack, dlt / {contender.title}: wall time", _wall([dlt]) / _wall(runs), "x")


def _contend(stage: Stage, contender: Contender) -> Run:
    """Run a contender into a fresh database."""
    with stage.database(migrated=contender.migrated) as url:
        environ = connected(stage.simulator, url) if contender.migrated else _environ(stage.simulator, url)
        return run(stage, contender, environ)


def run(stage: Stage, contender: Contender, environ: Mapping[str, str]) -> Run:
    since = stage.simulator.requests()
    cost = stage.run(contender.module, environ)
    rows = _count(environ["DATABASE_URL"], contender.count_rows)
    return Run(cost, rows, stage.simulator.requests(since))


def workspace(simulator: Simulator, world: Mapping[str, float]) -> str:
    """Have the simulator forget everything and make one workspace; give its id."""
    simulator.order("/reset")
    team: str = simulator.order("/slack/team", token=TOKEN, users=PEOPLE, world=world)["team_id"]
    return team


def rows_of(world: Mapping[str, int]) -> int:
    return world["channels"] * (world["messages"] + world["threads"] * world["replies"])


def _environ(simulator: Simulator, database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SLACK_API_URL": f"{simulator.url}/slack/api/",
        "SLACK_PACING": "false",
        TOKEN_VARIABLE: TOKEN,
    }


def connected(simulator: Simulator, database_url: str) -> dict[str, str]:
    """Connect the workspace's account; its own requests are over before anything is counted."""
    environ = _environ(simulator, database_url)
    os.environ[TOKEN_VARIABLE] = TOKEN
    app = App.load(environ)
    given = {"token": f"env:{TOKEN_VARIABLE}"}
    connect_account(app, SLACK, WORKSPACE, given=given, settings={}, name=None, read_secret=str)
    app.engine.dispose()
    return environ


def _count(database_url: str, query: str, values: Sequence[Any] = ()) -> int:
    with connect(database_url) as conn:
        found = conn.execute(query, values).fetchone()
    assert found is not None
    count: int = found[0]
    return count


def _furthest(runs: Sequence[Run], wanted: int) -> int:
    """Return the number of rows that is furthest from what it should be."""
    return max((run.rows for run in runs), key=lambda rows: abs(rows - wanted))


def _cpu(runs: Sequence[Run]) -> float:
    return median(cpu(run.cost) for run in runs)


def _wall(runs: Sequence[Run]) -> float:
    return median(wall(run.cost) for run in runs)


def _ratio(ours: Sequence[Run], bare: Sequence[Run], what: Callable[[Cost], float]) -> float:
    return ratio([run.cost for run in ours], [run.cost for run in bare], what)
