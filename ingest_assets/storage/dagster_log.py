"""Prune Dagster's own run and event log, which it never does itself (its `retention` is for ticks only).

What a partition shows is computed from its latest events: the newest materialisation and the newest plan of
one, with the run that planned it. Those stay, whatever their age; so do all runs that are not finished.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Connection, text

CHUNK = 50_000  # event ids a statement
Tell = Callable[..., None]

_KEPT_EVENTS = """
    create temporary table kept_events on commit drop as
    select max(id) as id, asset_key, partition, dagster_event_type,
        (array_agg(run_id order by id desc))[1] as run_id
    from event_logs where asset_key is not null group by asset_key, partition, dagster_event_type
"""
_KEPT_RUNS = """
    create temporary table kept_runs on commit drop as
    select run_id from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')
    union
    select planned.run_id from kept_events planned
    where planned.dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED' and not exists (
        select from kept_events made where made.dagster_event_type = 'ASSET_MATERIALIZATION'
        and made.asset_key = planned.asset_key and made.partition is not distinct from planned.partition
        and made.id > planned.id)
"""
_EVENTS = """
    delete from event_logs e where e.id > :after and e.id <= :until and e.timestamp < :before
    and not exists (select from kept_events k where k.id = e.id)
    and not exists (select from kept_runs k where k.run_id = e.run_id)
"""
_TAGS = """
    delete from asset_event_tags t where t.event_timestamp < :before
    and not exists (select from event_logs e where e.id = t.event_id)
"""
_CHECKS = """
    delete from asset_check_executions c where c.create_timestamp < :before and exists (
        select from asset_check_executions newer where newer.asset_key = c.asset_key
        and newer.check_name = c.check_name and newer.partition is not distinct from c.partition
        and newer.id > c.id)
"""
_RUNS = """
    delete from runs r where r.update_timestamp < :before
    and not exists (select from kept_runs k where k.run_id = r.run_id) returning r.run_id
"""


def prune(conn: Connection, before: datetime) -> Iterator[tuple[str, int, list[str]]]:
    """Delete what is older; yield (table, rows deleted so far, runs deleted) after each statement.

    `conn` is one of Dagster's own, which would commit every statement; a pooler keeps temporary tables for a
    transaction only, so this is one. `before` is naive and in UTC, as there.
    """
    conn = conn.execution_options(isolation_level="READ COMMITTED")
    with conn.begin():
        yield from _pruned(conn, before)


def _pruned(conn: Connection, before: datetime) -> Iterator[tuple[str, int, list[str]]]:
    conn.execute(text(_KEPT_EVENTS))
    conn.execute(text("create index on kept_events (id)"))
    conn.execute(text(_KEPT_RUNS))
    conn.execute(text("analyze kept_events"))
    conn.execute(text("analyze kept_runs"))
    first, last = conn.execute(text("select coalesce(min(id), 1), coalesce(max(id), 0) from event_logs")).one()
    deleted = 0
    for after in range(first - 1, last, CHUNK):
        span = {"after": after, "until": after + CHUNK, "before": before}
        deleted += conn.execute(text(_EVENTS), span).rowcount
        yield "event_logs", deleted, []
    yield "asset_event_tags", conn.execute(text(_TAGS), {"before": before}).rowcount, []
    yield "asset_check_executions", conn.execute(text(_CHECKS), {"before": before}).rowcount, []
    runs = list(conn.execute(text(_RUNS), {"before": before}).scalars())
    yield "runs", len(runs), runs
