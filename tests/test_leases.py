"""A lease by name: one owner at a time, renewed by a living process, ended by the clock for a dead one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from ingest_assets.storage.leases import lease
from tests.databases import advisory_locks

MINUTE = timedelta(minutes=1)
SHORT = timedelta(milliseconds=300)


def until(engine: Engine) -> float:
    with engine.connect() as conn:
        found: float = conn.execute(text("select extract(epoch from until) from ingest.leases")).scalar_one()
    return found


def test_one_owner_at_a_time_and_no_state_of_a_session(engine: Engine) -> None:
    with lease(engine, "thing", owner="one", length=MINUTE) as first:
        assert first.taken
        with lease(engine, "thing", owner="two", length=MINUTE) as second:
            assert (second.taken, second.until) == (False, first.until)
        with lease(engine, "another thing", owner="two", length=MINUTE) as third:
            assert third.taken
        assert advisory_locks(engine) == 0
    with lease(engine, "thing", owner="two", length=MINUTE) as fourth:
        assert fourth.taken


def test_a_living_owner_renews_it(engine: Engine) -> None:
    with lease(engine, "thing", owner="one", length=SHORT) as first:
        before = until(engine)
        while until(engine) == before:
            pass
        with lease(engine, "thing", owner="two", length=SHORT) as second:
            assert not second.taken
        assert not first.lost


def test_a_dead_owners_lease_ends_and_the_dead_one_that_wakes_up_is_told(engine: Engine) -> None:
    with lease(engine, "thing", owner="one", length=timedelta(seconds=1)) as first:
        with engine.begin() as conn:
            conn.execute(text("update ingest.leases set until = now() - interval '1 second'"))
        with lease(engine, "thing", owner="two", length=MINUTE) as second:
            assert second.taken
            while not first.lost:
                pass
    with lease(engine, "thing", owner="two", length=MINUTE) as again:
        assert again.taken


def test_the_same_owner_may_take_it_again(engine: Engine) -> None:
    """A step that Dagster tries again is the same run."""
    with engine.begin() as conn:
        conn.execute(
            text("insert into ingest.leases values ('thing', 'one', gen_random_uuid(), now() + interval '1 hour')")
        )
    with lease(engine, "thing", owner="one", length=MINUTE) as held:
        assert held.taken


def test_an_error_under_it_is_the_error_that_is_told(engine: Engine) -> None:
    with pytest.raises(KeyError, match="ours"), lease(engine, "thing", owner="one", length=MINUTE):
        raise KeyError("ours")
    with lease(engine, "thing", owner="two", length=MINUTE) as second:
        assert second.taken
