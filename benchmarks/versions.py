"""What versions cost: the same syncs beside a database whose triggers were dropped.

What a trigger costs is spent by PostgreSQL, so its processes are counted with the client. Of each kind the round
counts that cost least: what others do on the machine only adds, and the targets are finer than that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import connect

from benchmarks.results import Result, at_most
from benchmarks.site import tree
from benchmarks.slack import MANY_CHANNELS, OURS, Run, connected, rows_of, run, workspace
from benchmarks.stage import Stage

ROUNDS, AGAIN = 5, 3
LIMITS = {"first sync": 1.05, "sync that finds nothing new": 1.01}  # times the CPU without versions
TRIGGERS = "select tgrelid::regclass::text from pg_trigger where tgname = 'keep_version'"


def benchmark(stage: Stage) -> Iterator[Result]:
    """Sync with versions and without, in turn, each into a fresh database."""
    workspace(stage.simulator, MANY_CHANNELS)
    rounds = []
    with _calm(stage):
        for number in range(ROUNDS):
            turns = ((True, False), (False, True))[number % 2]
            rounds.append({versions: _syncs(stage, versions=versions) for versions in turns})
    for place, (what, limit) in enumerate(LIMITS.items()):
        kept, not_kept = (min(one[versions][place] for one in rounds) for versions in (True, False))
        yield Result(f"versions, {what}: CPU with them", kept, "s")
        yield at_most(f"versions, {what}: CPU with them / without", kept / not_kept, "x", limit)


@contextmanager
def _calm(stage: Stage) -> Iterator[None]:
    """Let PostgreSQL do nothing by itself meanwhile: its own time for that is counted, too."""
    with stage.database(migrated=False) as url, connect(url, autocommit=True) as conn:
        for change in ("set autovacuum = off", "reset autovacuum"):
            conn.execute(f"alter system {change}")
            conn.execute("select pg_reload_conf()")
            if change.startswith("set"):
                yield


def _syncs(stage: Stage, *, versions: bool) -> list[float]:
    """Return the CPU, of client and PostgreSQL, of a first sync and of one that finds nothing new."""
    with stage.database(migrated=True) as url:
        environ = connected(stage.simulator, url)
        if not versions:
            with connect(url) as conn:
                for (table,) in conn.execute(TRIGGERS).fetchall():
                    conn.execute(f"drop trigger keep_version on {table}")
        spent = []
        for _ in range(1 + AGAIN):
            with connect(url, autocommit=True) as conn:
                conn.execute("checkpoint")
            before = tree(stage.postgres_pid)
            done: Run = run(stage, OURS, environ)
            assert done.rows == rows_of(MANY_CHANNELS)
            spent.append(done.cost.cpu_seconds + tree(stage.postgres_pid) - before)
    print(f"versions {'kept' if versions else 'not kept'}: {', '.join(f'{one:.2f} s CPU' for one in spent)}")
    return [spent[0], min(spent[1:])]
