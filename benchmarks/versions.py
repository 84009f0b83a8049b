"""What versions cost: the same syncs beside a database whose triggers were dropped.

What a trigger costs is spent by PostgreSQL, so its processes are counted with the client. Of each kind the middle
one of the rounds' ratios counts. On a machine that others use, too, these differ by a tenth from run to run, so
what has a target is exact: how often the trigger's function was called where nothing that is stored has changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from psycopg import connect

from benchmarks.results import Result, exactly
from benchmarks.site import tree
from benchmarks.slack import MANY_CHANNELS, OURS, Run, connected, rows_of, run, workspace
from benchmarks.stage import Stage

ROUNDS, AGAIN = 5, 3
SYNCS = ("first sync", "sync that finds nothing new")
CHANGES = ("autovacuum = off", "track_functions = pl")
CALLS = "select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname like 'keep_version%'"
TRIGGERS = "select tgrelid::regclass::text from pg_trigger where tgname = 'keep_version'"


def benchmark(stage: Stage) -> Iterator[Result]:
    """Sync with versions and without, in turn, each into a fresh database."""
    workspace(stage.simulator, MANY_CHANNELS)
    rounds = []
    with _calm(stage):
        for number in range(ROUNDS):
            turns = ((True, False), (False, True))[number % 2]
            rounds.append({versions: _syncs(stage, versions=versions) for versions in turns})
    for place, what in enumerate(SYNCS):
        kept = median(one[True].cpu[place] for one in rounds)
        share = median(one[True].cpu[place] / one[False].cpu[place] for one in rounds)
        yield Result(f"versions, {what}: CPU with them", kept, "s")
        yield Result(f"versions, {what}: CPU with them / without", share, "x")
    calls = sum(one[True].calls for one in rounds)
    yield exactly("versions, where nothing that is stored has changed: calls of the trigger", calls, "calls", 0)


@contextmanager
def _calm(stage: Stage) -> Iterator[None]:
    """Let PostgreSQL do nothing by itself meanwhile, as its time for that is counted, too; have it count calls."""
    with stage.database(migrated=False) as url, connect(url, autocommit=True) as conn:
        for change in CHANGES:
            conn.execute(f"alter system set {change}")
        conn.execute("select pg_reload_conf()")
        yield
        for change in CHANGES:
            conn.execute(f"alter system reset {change.partition(' ')[0]}")
        conn.execute("select pg_reload_conf()")


@dataclass(frozen=True)
class Cost:
    """What a first sync, and one that finds nothing new, took."""

    cpu: Sequence[float]
    """Seconds, of client and PostgreSQL."""
    calls: int
    """Of the trigger's function, in all syncs."""


def _syncs(stage: Stage, *, versions: bool) -> Cost:
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
        with connect(url) as conn:
            [[calls]] = conn.execute(CALLS).fetchall()
    print(f"versions {'kept' if versions else 'not kept'}: {', '.join(f'{one:.2f} s CPU' for one in spent)}")
    return Cost([spent[0], median(spent[1:])], int(calls))
