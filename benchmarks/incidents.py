"""How long one look for incidents takes over many workspaces, at its worst: all of them in trouble at once."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.results import Result, below, exactly
from benchmarks.stage import Stage
from ingest_assets.app import App
from ingest_assets.cli.output import print_table
from ingest_assets.incidents.look import look
from ingest_assets.sources import SOURCES

WORKSPACES = 10_000
LIMIT = 1.0
AGO = timedelta(hours=1)

ACCOUNTS = """
    insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings, last_success_at,
        created_at, state_since)
    select workspace_id, source, workspace_id, workspace_id, '{}', '{}', now(), now(), now()
    from ingest.workspaces, unnest(cast(:sources as text[])) as source
"""
TROUBLE = {
    "all are well": "select",
    "a vendor is down for all": "update ingest.accounts set error_kind = 'transient', attempts = 1,"
    " due_at = now(), error_since = now() + interval '1 second' where source = 'slack'",
    "every login is refused": "update ingest.accounts set state = 'needs_reconnect'",
    "all are stale": "update ingest.accounts set state = 'active', error_kind = null, last_success_at = now()"
    " - interval '1 day'",
    "100,000 lost parts and 100,000 rejected items": "with parts as (insert into ingest.unreadable_parts"
    " (account_id, part, workspace_id, name, code, since, attempts, last_tried_at) select account_id, n::text,"
    " workspace_id, 'x', 'x', now(), 2, now() from ingest.accounts, generate_series(1, 10) n"
    " where source = 'slack')"
    " insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload, error) select"
    " account_id, 'x', n::text, workspace_id, '{}', 'x' from ingest.accounts, generate_series(1, 10) n"
    " where source = 'slack'",
}


def incidents(ready: Stage) -> Iterator[Result]:
    """Look at 10,000 workspaces with an account at each source."""
    with ready.database(migrated=True) as url:
        app = App.load({"DATABASE_URL": url})
        with app.engine.begin() as conn:
            conn.execute(
                text(
                    "insert into ingest.workspaces select 'w' || lpad(n::text, 5, '0')"
                    " from generate_series(1, :n) n"
                ),
                {"n": WORKSPACES},
            )
            conn.execute(text(ACCOUNTS), {"sources": [source.name for source in SOURCES]})
        looks, now = [], datetime.now(UTC)
        for what, change in TROUBLE.items():
            with app.engine.begin() as conn:
                conn.execute(text(change))
            with app.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                conn.execute(text("vacuum analyze"))
            for step in ("seen first", "opened", "seen again"):
                now += timedelta(minutes=5)
                began = time.perf_counter()
                seen = look(app.engine, app.core, app.alerts, now + AGO, ["webhook"])
                looks.append(
                    {"trouble": what, "look": step, "seconds": time.perf_counter() - began, "open": seen.open}
                )
        with app.engine.connect() as conn:
            openings = conn.execute(
                text("select count(*) from ingest.incident_messages where kind = 'opened'")
            ).scalar_one()
            opened = conn.execute(
                text("select count(*) from ingest.incidents where opened_at is not null")
            ).scalar_one()
        app.engine.dispose()
    print_table(list(looks[0]), [{**one, "seconds": f"{one['seconds']:.3f}"} for one in looks])
    what = f"incidents over {WORKSPACES:,} workspaces at {len(SOURCES)} sources"
    yield below(f"{what}: the longest look", max(one["seconds"] for one in looks), "s", LIMIT)
    yield exactly(f"{what}: openings told", openings, "messages", opened)
