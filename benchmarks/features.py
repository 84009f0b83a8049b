"""Features: how near reading 500 calls comes to what the latency allows, and how fast quotes are found."""

from collections.abc import Iterator
from time import perf_counter

from psycopg import connect

from benchmarks.jobs import JOBS
from benchmarks.results import Result, at_least, at_most, exactly
from benchmarks.source import connected
from benchmarks.stage import Stage
from ingest_assets.features.evidence import Evidence
from ingest_assets.sources.gong.transcript import of_gong
from ingest_assets.sources.transcript import Transcript

CALLS, PARALLEL, LATENCY = 500, 8, 0.3
WALL_LIMIT = 1.3  # times what latency and parallelism allow
QUOTES_A_SECOND, QUOTES_A_CALL = 2_000, 20
KEY, MODEL, OTHER_MODEL = "sk-bench", "bench-model", "bench-model-2"
DONE = "select count(*) from features.gong_call_features where state = 'ready' and model = %s"


def benchmark(stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    gong, what = JOBS["gong"], f"Features of {CALLS} calls"
    gong.found(stage.simulator, CALLS)
    stage.simulator.order("/openai/key", key=KEY, model=MODEL)
    with stage.database(migrated=True) as url:
        environ = connected(gong, stage.simulator, url) | {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{stage.simulator.url}/openai/v1",
            "OPENAI_MODEL": MODEL,
            "OPENAI_PARALLEL": str(PARALLEL),
            "OPENAI_RUN_TOKENS": "100000000",
            "OPENAI_DAY_TOKENS": "100000000",
        }
        print(f"features: syncing {CALLS} calls")
        stage.run("contender", environ)
        least = CALLS / PARALLEL * LATENCY
        print(f"features: reading them at {LATENCY * 1000:.0f} ms a request, which takes {least:.0f} s at least")
        stage.simulator.order("/latency", seconds=LATENCY)
        since = stage.simulator.requests()
        cost = stage.run("reader", environ)
        stage.simulator.order("/latency", seconds=0)
        yield exactly(f"{what}: requests", stage.simulator.requests(since), "requests", CALLS)
        yield exactly(f"{what}: read", _count(url, MODEL), "calls", CALLS)
        yield at_most(f"{what}: wall time / what latency allows", cost.wall_seconds / least, "x", WALL_LIMIT)
        yield Result(f"{what}: client CPU a call", cost.cpu_seconds / CALLS * 1000, "ms")
        yield Result(f"{what}: peak memory", cost.peak_megabytes, "MB")
        since = stage.simulator.requests()
        stage.run("reader", environ)
        yield exactly(f"{what}, nothing new: requests", stage.simulator.requests(since), "requests", 0)
        print("features: reading them again with another model, of which some were read before")
        yield from _another_version(stage, url, environ)
        yield _quotes(url)


def _another_version(stage: Stage, url: str, environ: dict[str, str]) -> Iterator[Result]:
    """Change the model, and take a tenth out of what it has to read."""
    kept = CALLS // 10
    with connect(url) as conn:
        conn.execute(
            "update raw.gong_calls set transcript_state = 'pending' where external_id in "
            "(select external_id from raw.gong_calls order by external_id limit %s)",
            [kept],
        )
    stage.simulator.order("/openai/key", key=KEY, model=OTHER_MODEL)
    since = stage.simulator.requests()
    stage.run("reader", environ | {"OPENAI_MODEL": OTHER_MODEL})
    name = "Features, another model: requests"
    yield exactly(name, stage.simulator.requests(since), "requests", CALLS - kept)
    yield exactly("Features, another model: read", _count(url, OTHER_MODEL), "calls", CALLS - kept)


def _quotes(url: str) -> Result:
    """Look up real quotes, the preparation of each transcript included."""
    with connect(url) as conn:
        calls = [of_gong(row[0]) for row in conn.execute("select raw from raw.gong_calls limit 100")]
    wanted = [_some(call) for call in calls]
    began = perf_counter()
    found = 0
    for call, quotes in zip(calls, wanted, strict=True):
        evidence = Evidence(call)
        found += sum(evidence.find(quote) is not None for quote in quotes)
    seconds = perf_counter() - began
    assert found == sum(map(len, wanted))
    return at_least(
        f"Evidence, {QUOTES_A_CALL} quotes in each of {len(calls)} calls: checked",
        found / seconds,
        "quotes/s",
        QUOTES_A_SECOND,
    )


def _some(call: Transcript) -> list[str]:
    step = max(1, len(call.segments) // QUOTES_A_CALL)
    return [segment.text for segment in call.segments[::step][:QUOTES_A_CALL]]


def _count(url: str, model: str) -> int:
    with connect(url) as conn:
        found = conn.execute(DONE, [model]).fetchone()
    assert found is not None
    count: int = found[0]
    return count
