"""How long it takes to erase one person among a million rows, and how long rows are locked."""

from collections.abc import Iterator
from threading import Event, Thread
from time import perf_counter, sleep

from sqlalchemy import Engine, text

from benchmarks.results import Result, below, exactly
from benchmarks.stage import Stage
from ingest_assets.features.featured import FEATURE_TABLES
from ingest_assets.sources import SOURCES
from ingest_assets.storage.engine import connect
from ingest_assets.storage.vault import Vault, new_key
from ingest_assets.sync.erase import erase
from ingest_assets.sync.person import Person

ROWS, THEIRS = 1_000_000, 10_000
EMAIL = "ada@example.com"
SECONDS, LOCKED = 60, 1.0
FILL = (
    "insert into ingest.workspaces (workspace_id) values ('bench')",
    """insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings)
    values ('bench', 'slack', 'bench', 'T1', '{}', '{}')""",
    """insert into raw.slack_users (workspace_id, account_id, external_id, name, email, raw, content_hash)
    select workspace_id, account_id, 'U00000ADA', 'Ada', :email,
        jsonb_build_object('id', 'U00000ADA', 'profile', jsonb_build_object('email', cast(:email as text))), ''
    from ingest.accounts""",
    """insert into raw.slack_messages (workspace_id, account_id, external_id, conversation_id, occurred_at, text,
        text_shortened, channel_id, ts, in_channel, author_id, author_name, raw, content_hash, parser_version)
    select workspace_id, account_id, channel || ':' || ts, channel || ':' || ts, now() - n * interval '1 second',
        body, false, channel, ts, true, author, author,
        jsonb_build_object('type', 'message', 'ts', ts, 'user', author, 'text', body),
        decode(md5(n::text), 'hex'), 2
    from ingest.accounts, lateral (
        select n, 'C' || n % 50 as channel, (1700000000 + n) || '.000100' as ts,
            case when n % (:rows / :theirs) = 0 then 'U00000ADA' else 'U0000' || n % 300 end as author,
            'message ' || n || repeat(' some words of an ordinary message', 8) as body
        from generate_series(1, :rows) as n
    ) as message""",
)
LONGEST = (
    "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) from pg_stat_activity "
    "where backend_xid is not null and pid <> pg_backend_pid()"
)


class Watch:
    """How long the longest transaction that writes has lasted, as seen a hundred times a second."""

    def __init__(self, engine: Engine) -> None:
        self.longest = 0.0
        self._engine, self._over = engine, Event()
        self._thread = Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            while not self._over.is_set():
                self.longest = max(self.longest, float(conn.execute(text(LONGEST)).scalar_one()))
                sleep(0.01)

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self.longest


def benchmark(stage: Stage) -> Iterator[Result]:
    """Fill a workspace, and erase the one of 301 people who wrote a hundredth of it."""
    print(f"erasing: filling {ROWS:,} rows")
    with stage.database(migrated=True) as url:
        engine = connect(url)
        with engine.begin() as conn:
            for statement in FILL:
                conn.execute(text(statement), {"email": EMAIL, "rows": ROWS, "theirs": THEIRS})
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("vacuum analyze raw.slack_messages"))
        print("erasing: erasing")
        watch, began = Watch(engine), perf_counter()
        vault, person = Vault((new_key(),)), Person(EMAIL)
        done = list(erase(engine, vault, SOURCES, FEATURE_TABLES, person, workspace_id=None, write=True))
        took, locked = perf_counter() - began, watch.end()
        engine.dispose()
    messages = sum(one.counts["raw.slack_messages"] for one in done)
    yield exactly(f"erasing a person among {ROWS:,} rows: messages emptied", messages, "rows", THEIRS)
    yield below(f"erasing a person among {ROWS:,} rows", took, "s", SECONDS)
    yield below("erasing a person: the longest transaction that writes", locked, "s", LOCKED)
