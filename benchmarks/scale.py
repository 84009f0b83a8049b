"""Measure a machine's reach: `python -m benchmarks.scale [--only growth] [--out build/bench-scale.json]`.

How many workspaces one machine serves: the real daemon and code server, a durable PostgreSQL and the simulated
vendors, all on this machine. CPU-seconds are ours and Dagster's (daemon, code server, runs) and PostgreSQL's; the
simulated vendors, which live elsewhere, are shown apart.

Exit codes: 0 every target is met, 1 one is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.__main__ import show
from benchmarks.deployment import PROGRAMS
from benchmarks.incidents import incidents
from benchmarks.results import Result, at_most, below, exactly
from benchmarks.site import ITEMS, PATIENCE, Site, Wave, mean, site_of
from benchmarks.stage import Stage, stage
from ingest_assets.app import App
from ingest_assets.cli.output import print_table
from ingest_assets.schedules.maintenance import prune_dagster
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage import queue

GROWTH = ((100, 5), (1_000, 5), (10_000, 1), (1_000, 5))
"""Workspaces, and passes over them with nothing new. One pass varies by a tenth from the next, so 1,000 are passed
over as often as gives the syncs of one pass over 10,000, half of them before it and half after."""
NEWS = 5
NOISE = 1.1  # a larger size may seem so much dearer a workspace
CPU_LIMIT = 60.0
INTERVAL = 15 * 60.0
CORES = 2
TICK_LIMIT, STATUS_LIMIT = 5.0, 2.0
FAILING_OF, FAILING = 300, 30
LOG_EVENTS, LOG_PARTITIONS = 500_000, 1_000
SYNCS_A_DAY = 96


def _names(count: int) -> list[str]:
    return [f"w{number:05}" for number in range(count)]


def growth(ready: Stage) -> Iterator[Result]:
    """Return the same source for ever more workspaces; the largest also shows what a tick and `status` take."""
    firsts: defaultdict[int, list[Wave]] = defaultdict(list)
    passes: defaultdict[int, list[Wave]] = defaultdict(list)
    for size, times in GROWTH:
        with site_of(ready) as site:
            print(f"{size} Slack workspaces: making them", flush=True)
            site.join(SLACK, _names(size))
            firsts[size].append(site.wave(f"{size} workspaces, first sync", [SLACK], size))
            passes[size] += [site.wave(f"{size} workspaces, nothing new", [SLACK], size) for _ in range(times)]
            stored = site.one("select count(*) from raw.slack_messages")
            yield exactly(f"{size:,} workspaces: messages stored", stored, "rows", size * ITEMS)
            if size == max(passes):
                yield from _status(site, size)
                yield _tick(site, size)  # last: everybody is due afterwards, and runs begin
    for waves, name in ((firsts, "first sync"), (passes, "nothing new")):
        for size in waves:
            yield from _spent(f"{size:,} workspaces, {name}", mean(waves[size]))
    what = "1,000 workspaces, nothing new, one source: CPU of ours, Dagster's and PostgreSQL's, dearest pass"
    yield below(what, max(wave.cpu_seconds for wave in passes[1_000]), "CPU-s", CPU_LIMIT)
    table = [
        _row(size, name, waves[size])
        for size in passes
        for waves, name in ((firsts, "first sync"), (passes, "nothing new"))
    ]
    print_table(list(table[0]), table)
    cost = {size: mean(waves).cpu_seconds / size for size, waves in passes.items()}
    for small, large in pairwise(cost):
        what = f"cost a workspace, nothing new: {large:,} against {small:,} workspaces"
        yield at_most(what, cost[large] / cost[small], "x", NOISE)


def _spent(what: str, wave: Wave) -> Iterator[Result]:
    """Return what a pass cost, without a target."""
    for process, seconds in sorted(wave.cpu.items()):
        yield Result(f"{what}: CPU of {process}", seconds, "CPU-s")
    yield Result(f"{what}: runs", wave.runs, "runs")
    yield Result(f"{what}: events", wave.events, "events")
    yield Result(f"{what}: written", wave.written / 1e6, "MB")


def _row(size: int, name: str, waves: Sequence[Wave]) -> dict[str, Any]:
    wave, costs = mean(waves), [1000 * wave.cpu_seconds / size for wave in waves]
    return {
        "workspaces": size,
        "pass": name,
        "passes": len(waves),
        "seconds": f"{wave.seconds:.0f}",
        "CPU-s": f"{wave.cpu_seconds:.1f}",
        "CPU-ms a workspace": f"{1000 * wave.cpu_seconds / size:.1f}",
        "from - to": f"{min(costs):.1f} - {max(costs):.1f}",
        **{name: f"{seconds:.1f}" for name, seconds in sorted(wave.cpu.items())},
        "runs": f"{wave.runs:.0f}",
        "events": f"{wave.events:.0f}",
        "MB written": f"{wave.written / 1e6:.1f}",
    }


def _tick(site: Site, size: int) -> Result:
    """Evaluate a tick of the schedule, which asks for runs, and a look of the sensor, as the code server does."""
    from ingest_assets.definitions import build  # reads its settings from the environment as it is imported

    given = {**site.environ, "DAGSTER_HOME": str(site.deployment.home)}
    given["DAGSTER_POSTGRES_URL"] = sqlalchemy_url(given["DATABASE_URL"], "psycopg2")
    os.environ.update(given)
    defs = build(App.load(site.environ))
    schedule, sensor = defs.resolve_schedule_def("slack_sync"), defs.resolve_sensor_def("slack_due")
    with dg.DagsterInstance.get() as instance:
        known: dict[str, Any] = {"instance": instance, "resources": defs.resources}
        known["repository_def"] = defs.get_repository_def()
        with (
            dg.build_schedule_context(scheduled_execution_time=datetime.now(UTC), **known) as tick,
            dg.build_sensor_context(**known) as look,
        ):
            began = time.perf_counter()
            asked = schedule.evaluate_tick(tick).run_requests
            sensor.evaluate_tick(look)
            seconds = time.perf_counter() - began
    assert asked, "nobody was due"
    return below(f"{size:,} accounts: one tick with its run requests, and a look", seconds, "s", TICK_LIMIT)


def _status(site: Site, size: int) -> Iterator[Result]:
    """Run `ingest-assets status` as a command, with a day of history behind every account."""
    with site.app.engine.begin() as conn:
        conn.execute(
            text(
                "insert into ingest.syncs (account_id, workspace_id, source, owner, status, started_at,"
                " finished_at, api_calls, summary) select account_id, workspace_id, source, 'bench', 'success',"
                " at, at, 2, '{}'"
                " from ingest.accounts, generate_series(1, :each) number,"
                " lateral (select now() - number * interval '1 day' / :each as at) times"
            ),
            {"each": SYNCS_A_DAY},
        )
        conn.execute(
            text(
                "insert into ingest.sync_counts as counts (source, since, succeeded, total) select source,"
                " date_bin('10 minutes', finished_at, 'epoch') since, count(*), count(*) from ingest.syncs"
                " where owner = 'bench' group by source, since on conflict (source, since) do update set"
                " succeeded = counts.succeeded + excluded.succeeded, total = counts.total + excluded.total"
            )
        )
    with site.app.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum analyze"))
    for form in ("status --json", "status"):
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603  our own command
            [str(PROGRAMS / "ingest-assets"), *form.split()],
            env={**os.environ, **site.environ},
            capture_output=True,
            check=True,
        )
        seconds = time.perf_counter() - began
        assert done.stdout.count(b"w0") >= size
        what = f"{size:,} workspaces, {size * SYNCS_A_DAY:,} syncs: `ingest-assets {form}`"
        yield below(what, seconds, "s", STATUS_LIMIT)


def sources(ready: Stage) -> Iterator[Result]:
    """All sources for 1,000 workspaces, each with news."""
    names = _names(1_000)
    with site_of(ready) as site:
        for source in SOURCES:
            print(f"1,000 {source.title} customers: making them", flush=True)
            site.join(source, names)
        accounts = len(names) * len(SOURCES)
        site.wave("1,000 workspaces x 4 sources, first sync", SOURCES, accounts)
        for source in SOURCES:
            print(f"{source.title}: {NEWS} new items for each of 1,000 customers", flush=True)
            crowd.more(site.simulator, source, names, NEWS)
        wave = site.wave(f"1,000 workspaces x 4 sources, {NEWS} new items each", SOURCES, accounts)
        for source in SOURCES:
            stored = site.one(f"select count(*) from {source.main.table.fullname}")
            what = f"1,000 workspaces x 4 sources: {source.title} items stored"
            yield exactly(what, stored, "rows", len(names) * (ITEMS + NEWS))
    what = f"1,000 workspaces x 4 sources, {NEWS} new items each"
    yield below(f"{what}: wall time", wave.seconds, "s", INTERVAL)
    share = wave.cpu_seconds / (INTERVAL * CORES)
    yield below(f"{what}: share of both cores in an interval", 100 * share, "%", 50)
    yield from _spent(what, wave)


def failing(ready: Stage) -> Iterator[Result]:
    """Measure with some broken workspaces: half by a revoked login, half by errors of the vendor."""
    names = _names(FAILING_OF)
    broken = names[:: FAILING_OF // FAILING]
    with site_of(ready) as site:
        site.join(SLACK, names)
        revoked, spoilt = broken[::2], broken[1::2]
        for name in revoked:
            site.simulator.order("/slack/token", team=crowd.CUSTOMERS["slack"].external_id(name), revoked=True)
        for name in spoilt:
            team = crowd.CUSTOMERS["slack"].external_id(name)
            site.simulator.order("/fault", kind="error", error="fatal_error", team=team, times=-1)
        what = f"{FAILING_OF} workspaces of which {FAILING} fail"
        began = datetime.now(UTC)
        with site.app.engine.begin() as conn:
            queue.mark_due(conn, "slack", began)
        red = (
            "select count(distinct tags.value) from runs join run_tags tags using (run_id)"
            " where status = 'FAILURE' and tags.key = 'dagster/partition'"
        )
        print(f"{what}: the first pass, then a red run for each that failed (after 5 minutes where it may heal)")
        site.deployment.wait(what, lambda: site.one(red) >= FAILING, PATIENCE)
        fresh = site.one(
            "select count(*) from ingest.accounts a join ingest.syncs s using (account_id) join runs r"
            " on r.run_id = s.owner join run_tags t on t.run_id = r.run_id and t.key = 'ingest/batch'"
            " where s.status = 'success'"
        )
        yield exactly(f"{what}: fresh after the first batch", fresh, "workspaces", FAILING_OF - FAILING)
        yield exactly(f"{what}: with a red run of their own", site.one(red), "workspaces", FAILING)
        last = site.one("select max(last_success_at) from ingest.accounts")
        retried = site.one(
            "select min(create_timestamp) from runs join run_tags using (run_id) where key = 'dagster/partition'"
        ).replace(tzinfo=UTC)
        waited = (last - retried) / timedelta(seconds=1)
        yield at_most(f"{what}: the last fresh one after the first retry began", waited, "s", 0)


def maintenance(ready: Stage) -> Iterator[Result]:
    """Prune a log of half a million events, by the job's own function."""
    with (
        ready.database(migrated=True) as url,
        dg.instance_for_test(
            overrides={"storage": {"postgres": {"postgres_url": sqlalchemy_url(url, "psycopg2")}}}
        ) as instance,
    ):
        app = App.load({"DATABASE_URL": url})
        keys, key = _names(LOG_PARTITIONS), dg.AssetKey(["raw", "slack_messages"])
        print(f"maintenance: writing a log of {LOG_EVENTS:,} events", flush=True)
        instance.add_dynamic_partitions("workspaces", keys)
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=keys[0]))
        with app.engine.begin() as conn:
            conn.execute(
                text(
                    "insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key,"
                    " partition) select md5((n / 500)::text), event, dagster_event_type, timezone('UTC', now()) -"
                    " (:n - n) * interval '30 days' / :n, step_key, asset_key, 'w' || lpad((n % :p)::text, 5, '0')"
                    " from generate_series(1, :n) n, (select * from event_logs where asset_key is not null) one"
                ),
                {"n": LOG_EVENTS, "p": LOG_PARTITIONS},
            )
        before = instance.get_materialized_partitions(key)
        began = time.perf_counter()
        prune_dagster(instance, datetime.now(UTC) - timedelta(days=14), lambda *_: None)
        seconds = time.perf_counter() - began
        with app.engine.connect() as conn:
            left = conn.execute(text("select count(*) from event_logs")).scalar_one()
        after = instance.get_materialized_partitions(key)
        app.engine.dispose()
    what = f"maintenance of {LOG_EVENTS:,} events over 30 days, 14 kept"
    yield Result(f"{what}: time", seconds, "s")
    yield at_most(f"{what}: events left", left, "events", LOG_EVENTS * 14 / 30 + LOG_PARTITIONS + 1)
    yield exactly(f"{what}: partitions that changed colour", len(before ^ after), "partitions", 0)


PARTS: Mapping[str, Callable[[Stage], Iterator[Result]]] = {
    "maintenance": maintenance,
    "incidents": incidents,
    "failing": failing,
    "sources": sources,
    "growth": growth,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="Measure a machine's reach.")
    parser.add_argument("--only", choices=PARTS, help="one part; default: all")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench-scale.json"), help="where to write the figures"
    )
    given = parser.parse_args()
    with stage() as ready:
        results = [result for name in ([given.only] if given.only else PARTS) for result in PARTS[name](ready)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([result.public() for result in results], indent=2) + "\n")
    show(results)
    return 1 if any(result.ok is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
