"""How long coverage takes over a thousand workspaces at four sources, for all of them at once and for each."""

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from sqlalchemy import text

from benchmarks.results import Result, below, exactly
from benchmarks.stage import Stage
from ingest_assets.app import App
from ingest_assets.sources import SOURCES
from ingest_assets.storage.coverage import completeness, find_coverage

WORKSPACES, CHANNELS, CONVERSATIONS = 1_000, 20, 200
LIMIT, ONE_LIMIT = 2.0, 50.0  # seconds for all, milliseconds for one
ROUNDS = 3

FILL = (
    "insert into ingest.workspaces select 'w' || lpad(n::text, 4, '0') from generate_series(1, :workspaces) n",
    """insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings, last_success_at,
        created_at, state_since)
    select workspace_id, source, workspace_id, workspace_id, '{}', '{}', now(), now(), now()
    from ingest.workspaces, unnest(cast(:sources as text[])) as source""",
    """insert into raw.slack_channels (workspace_id, account_id, external_id, name, raw, content_hash)
    select workspace_id, account_id, 'C' || n, 'channel-' || n, '{}', ''
    from ingest.accounts, generate_series(1, :channels) n where source = 'slack'""",
    """insert into ingest.sync_cursors (account_id, stream, workspace_id, cursor)
    select account_id, 'C' || n, workspace_id, jsonb_build_object(
        'covered_from', extract(epoch from now() - interval '30 days')::text,
        'covered_to', extract(epoch from now())::text, 'unread', '[]'::jsonb)
    from ingest.accounts, generate_series(1, :channels) n where source = 'slack'""",
    """insert into ingest.sync_cursors (account_id, stream, workspace_id, cursor)
    select account_id, 'stream', workspace_id, jsonb_build_object(
        'covered_from', now() - interval '30 days', 'covered_to', now(), 'unread', '[]'::jsonb)
    from ingest.accounts where source <> 'slack'""",
    """insert into raw.gong_calls (workspace_id, account_id, external_id, conversation_id, occurred_at, text,
        transcript_state, details_hash, raw, content_hash)
    select workspace_id, account_id, account_id || '-' || n, n, now() - n * interval '3 hours',
        repeat('They said a lot. ', 100),
        case n when 1 then 'pending' else 'ready' end, '', '{}', ''
    from ingest.accounts, generate_series(1, :conversations) n where source = 'gong'""",
    """insert into raw.fathom_sessions (workspace_id, account_id, external_id, conversation_id, occurred_at, text,
        created_at, action_items, transcript_state, details_hash, raw, content_hash)
    select workspace_id, account_id, account_id || '-' || n, n, now() - n * interval '3 hours',
        repeat('They said a lot. ', 100), now() - n * interval '3 hours', 0,
        case n when 1 then 'pending' else 'ready' end, '', '{}', ''
    from ingest.accounts, generate_series(1, :conversations) n where source = 'fathom'""",
    """insert into ingest.unreadable_parts (account_id, part, workspace_id, name, code, since, attempts,
        last_tried_at)
    select account_id, n::text, workspace_id, 'part ' || n, 'x', now(), 2, now()
    from ingest.accounts, generate_series(1, 10) n where account_id % 10 = 0""",
    """insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload, error)
    select account_id, 'x', n::text, workspace_id, '{}', 'x'
    from ingest.accounts, generate_series(1, 10) n where account_id % 10 = 0""",
)


def benchmark(stage: Stage) -> Iterator[Result]:
    """Ask for the coverage of workspaces with calls, sessions, channels, and something missing."""
    size = {"workspaces": WORKSPACES, "channels": CHANNELS, "conversations": CONVERSATIONS}
    with stage.database(migrated=True) as url:
        app = App.load({"DATABASE_URL": url})
        with app.engine.begin() as conn:
            for statement in FILL:
                conn.execute(text(statement), size | {"sources": [source.name for source in SOURCES]})
        with app.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("vacuum analyze"))
        everything, found = [], 0
        for _ in range(ROUNDS):
            began = perf_counter()
            with app.engine.connect() as conn:
                found = sum(len(completeness(conn, source.name)) for source in SOURCES)
            everything.append(perf_counter() - began)
        each = []
        with app.engine.connect() as conn:
            for number in range(1, WORKSPACES + 1, 10):
                began = perf_counter()
                assert find_coverage(conn, f"w{number:04d}")
                each.append(perf_counter() - began)
        app.engine.dispose()
    what = f"coverage of {WORKSPACES:,} workspaces at {len(SOURCES)} sources"
    yield exactly(f"{what}: summed up", found, "pairs", WORKSPACES * len(SOURCES))
    yield below(f"{what}: all at once", max(everything), "s", LIMIT)
    yield below(f"{what}: of one workspace", median(each) * 1000, "ms", ONE_LIMIT)
