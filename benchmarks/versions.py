"""What versions cost: the same syncs beside a database whose triggers were dropped.

What a trigger costs is spent by PostgreSQL, so its processes are counted with the client.
"""

from collections.abc import Iterator
from statistics import median

from psycopg import connect

from benchmarks.results import Result, at_most
from benchmarks.site import tree
from benchmarks.slack import MANY_CHANNELS, OURS, Run, connected, rows_of, run, workspace
from benchmarks.stage import Stage

ROUNDS = 7
LIMITS = {"first sync": 1.05, "sync that finds nothing new": 1.01}  # times the CPU without versions
TRIGGERS = "select tgrelid::regclass::text from pg_trigger where tgname = 'keep_version'"


def benchmark(stage: Stage) -> Iterator[Result]:
    """Sync with versions and without, in turn, each into a fresh database."""
    workspace(stage.simulator, MANY_CHANNELS)
    rounds = [
        {versions: _syncs(stage, versions=versions) for versions in ((True, False), (False, True))[number % 2]}
        for number in range(ROUNDS)
    ]
    for place, (what, limit) in enumerate(LIMITS.items()):
        ratio = median(one[True][place] / one[False][place] for one in rounds)
        yield Result(f"versions, {what}: CPU with them", median(one[True][place] for one in rounds), "s")
        yield at_most(f"versions, {what}: CPU with them / without", ratio, "x", limit)


def _syncs(stage: Stage, *, versions: bool) -> list[float]:
    """Return the CPU, of client and PostgreSQL, of a first sync and of one that finds nothing new."""
    with stage.database(migrated=True) as url:
        environ = connected(stage.simulator, url)
        if not versions:
            with connect(url) as conn:
                for (table,) in conn.execute(TRIGGERS).fetchall():
                    conn.execute(f"drop trigger keep_version on {table}")
        spent = []
        for _ in LIMITS:
            before = tree(stage.postgres_pid)
            done: Run = run(stage, OURS, environ)
            assert done.rows == rows_of(MANY_CHANNELS)
            spent.append(done.cost.cpu_seconds + tree(stage.postgres_pid) - before)
    print(f"versions {'kept' if versions else 'not kept'}: {', '.join(f'{one:.2f} s CPU' for one in spent)}")
    return spent
