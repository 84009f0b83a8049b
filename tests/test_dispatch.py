"""Who is read in which runs: the plan by itself, and that nobody is asked for twice however many ask at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, text

from ingest_assets.dispatch import ALONE, FEW, PROBE, LiveRuns, Plan, UnderWay, Waiting, dispatch, plan
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.queue import Due, mark_due

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
CALLERS = 8


def due(count: int, *, failing: int = 0) -> list[Due]:
    return [Due(f"w{number:02}", number < failing) for number in range(count)]


def planned(waiting: Waiting, live: UnderWay = UnderWay(), **core: int) -> Plan:  # noqa: B008  (it is frozen)
    return plan("Slack", waiting, live, CoreSettings(**core), NOW)


def sizes(chosen: Plan) -> list[int]:
    return [len(run.workspaces) for run in chosen.runs]


class TestThePlan:
    @pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (FEW, [1] * FEW), (FEW + 1, [FEW + 1])])
    def test_gives_a_few_a_run_each_and_lets_many_share_one(self, count: int, expected: list[int]) -> None:
        chosen = planned(Waiting(due(count)))
        assert sizes(chosen) == expected
        assert [run.batch for run in chosen.runs] == [count > FEW] * len(expected)
        assert all(run.urgent for run in chosen.runs)

    def test_starts_as_many_batch_runs_as_may_be_under_way(self) -> None:
        many = Waiting(due(100))
        assert sizes(planned(many, batch_workspaces=30)) == [30]
        assert sizes(planned(many, batch_workspaces=30, parallel_batches=3)) == [30, 30, 30]
        one_left = planned(many, UnderWay(batches=["a", "b"]), batch_workspaces=30, parallel_batches=3)
        assert sizes(one_left) == [30]
        none_left = planned(many, UnderWay(batches=["a"]))
        assert (sizes(none_left), none_left.why) == (
            [],
            "The batch run a is unfinished; 100 workspaces wait for their turn.",
        )

    def test_keeps_the_order_in_which_they_wait(self) -> None:
        assert list(planned(Waiting(due(30)), batch_workspaces=25).runs[0].workspaces) == [
            one.workspace_id for one in due(25)
        ]

    def test_lets_who_failed_travel_alone_behind_the_others_and_not_too_many(self) -> None:
        chosen = planned(Waiting(due(ALONE + 7, failing=ALONE + 5)))
        assert [run.urgent for run in chosen.runs] == [True] * 2 + [False] * ALONE
        full = planned(Waiting(due(5, failing=5)), UnderWay(alone=ALONE))
        assert (sizes(full), full.why) == (
            [],
            f"{ALONE} runs for one workspace are under way; 5 failing ones wait for a turn.",
        )

    def test_shows_a_failure_that_a_batch_run_saw_once(self) -> None:
        chosen = planned(Waiting(due(1, failing=1), unshown=["w00", "w77"]))
        assert [list(run.workspaces) for run in chosen.runs] == [["w00"], ["w77"]]

    def test_leaves_out_who_is_under_way(self) -> None:
        chosen = planned(Waiting(due(2), unshown=["w77"]), UnderWay(busy={"w00", "w01", "w77"}))
        assert (sizes(chosen), chosen.why) == ([], "No Slack workspace is due (3 under way).")

    def test_lets_one_try_each_minute_while_the_vendor_is_down(self) -> None:
        waiting = Waiting(due(40, failing=1), down_since=NOW - 2 * PROBE)
        chosen = planned(waiting)
        assert [list(run.workspaces) for run in chosen.runs] == [["w01"]]
        assert (chosen.down, chosen.why) == (
            True,
            "Slack seems to be down; 40 workspaces wait, one tries each minute.",
        )
        for live, since in ((UnderWay(alone=1), 2 * PROBE), (UnderWay(), PROBE / 2)):
            assert not planned(Waiting(due(40), down_since=NOW - since), live).runs


def none(_reservations: Collection[str]) -> LiveRuns:
    """Find no run: none exists in Dagster yet."""
    return LiveRuns()


def insert(engine: Engine, count: int) -> None:
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings)"
                " select format('w%s', n), 'slack', n, n, '{}', '{}' from generate_series(1, :count) n"
            ),
            {"count": count},
        )


@pytest.mark.parametrize("count", [FEW, 100])
def test_ticks_and_looks_at_the_same_time_ask_for_nobody_twice(engine: Engine, count: int) -> None:
    """No run exists in Dagster yet while they ask: reservations alone keep them apart."""
    insert(engine, count)
    with engine.begin() as conn:
        mark_due(conn, "slack", datetime.now(UTC))
    core = CoreSettings(batch_workspaces=30)
    together = Barrier(CALLERS)

    def ask(caller: int) -> Sequence[str]:
        together.wait()
        found: list[str] = []
        for attempt in range(5):
            chosen = dispatch(
                engine, SLACK, none, core, datetime.now(UTC), by=f"{caller}-{attempt}", tick=caller % 2 == 0
            )
            found += [key for run in chosen.runs for key in run.workspaces]
        return found

    with ThreadPoolExecutor(CALLERS) as pool:
        asked = [key for found in pool.map(ask, range(CALLERS)) for key in found]
    assert len(asked) == len(set(asked)) == min(count, 30)


def test_a_reservation_ends_so_that_a_run_that_never_began_costs_a_lease_and_nobody_is_forgotten(
    engine: Engine,
) -> None:
    insert(engine, 3)
    core, now = CoreSettings(), datetime.now(UTC)

    def ask(by: str) -> list[int]:
        return sizes(dispatch(engine, SLACK, none, core, now, by=by, tick=True))

    assert ask("first") == [1, 1, 1]
    assert ask("second") == []
    with engine.begin() as conn:
        conn.execute(
            text("update ingest.accounts set reserved_until = reserved_until - :lease"),
            {"lease": timedelta(seconds=core.lease_seconds)},
        )
    assert ask("third") == [1, 1, 1]
