"""What is killed at each of its commits, source by source: an entry here is all that a new operation needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table

from ingest_assets.app import App
from ingest_assets.features.extract import Extractor
from ingest_assets.features.featured import FEATURE_TABLES, FEATURED
from ingest_assets.sources import SOURCES
from ingest_assets.sources.login import Clock
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.account import sync
from ingest_assets.sync.deriving import derive_anew
from ingest_assets.sync.erase import erase, finish_erasures
from ingest_assets.sync.person import Person
from ingest_assets.sync.replay import replay_all
from tests.canaries import EMAIL, TALKS
from tests.sources.tenants import SlackTenant, Tenant

WORKSPACE = "acme"
KEY = "sk-proof"
HOURS_AGO = 20 * 24  # further back than any sync but a channel's, a window's or a mailbox's first one looks
LENGTH = timedelta(minutes=2)  # of leases
STEP = 2  # rows derived anew in one transaction, so that few rows make several
ALL = tuple(source.name for source in SOURCES)
READ_BY_MODEL = tuple(kind.source.name for kind in FEATURED)
MENDED = {
    "slack": "payload - 'edited'",
    "gong": """jsonb_set(payload, '{metaData,started}', '"2026-11-01T10:00:00Z"')""",
    "fathom": """jsonb_set(payload, '{created_at}', '"2026-11-01T10:00:00Z"')""",
    "gmail": """payload || '{"internalDate": "1761991200000", "labelIds": ["INBOX"]}'""",
}
"""Makes of a malformed payload what a newer version of the program would make of it: one that can be parsed."""


@dataclass(frozen=True)
class Operation:
    """Something that writes in several transactions."""

    prepare: Callable[[Tenant], None]
    """Bring vendor and tables to where the operation begins."""
    run: Callable[[App, Source, Clock, str], object]
    """Do it once, as an owner of leases."""
    sources: tuple[str, ...] = ALL


def _many(tenant: Tenant) -> None:
    """Make items for several pages, Slack's with a thread: too old to be found by a look at what is recent."""
    made = [tenant.add(hours_ago=HOURS_AGO + place) for place in range(5)]
    if isinstance(tenant, SlackTenant):
        for place in range(4):
            parent = made[0].partition(":")[2]
            fields = {"thread_ts": parent, "hours_ago": HOURS_AGO - 1, "broadcast": place == 0}
            tenant.order("post", channel="general", text=f"reply {place}", **fields)


def _changed(tenant: Tenant) -> None:
    """Read everything; then something is new, changed, gone, malformed, and mended."""
    _many(tenant)
    changed, gone, mended = tenant.add(), tenant.add(), tenant.add_malformed()
    tenant.reads()
    tenant.change(changed)
    tenant.delete(gone)
    tenant.heal(mended)
    tenant.add(hours_ago=0.2)
    tenant.add_malformed()


def _changed_of_old(tenant: Tenant) -> None:
    """Read everything; then what is old changes, and is to be looked at again."""
    _many(tenant)
    changed, gone = tenant.add(hours_ago=HOURS_AGO), tenant.add(hours_ago=HOURS_AGO)
    tenant.reads()
    tenant.change(changed)
    tenant.delete(gone)
    long_ago = (
        """regexp_replace(cursor::text, '"(read_at|until)": "[^"]+"', '"\\1": "2020-01-01T00:00:00Z"', 'g')"""
    )
    tenant.bench.execute(f"update ingest.sync_cursors set cursor = {long_ago}::jsonb")


def _set_aside(tenant: Tenant) -> None:
    tenant.add()
    for _ in range(3):
        tenant.add_malformed()
    tenant.reads()
    tenant.bench.execute(f"update ingest.rejected_records set payload = {MENDED[tenant.source.name]}")


def _of_older_parser(tenant: Tenant) -> None:
    _many(tenant)
    tenant.reads()
    for table in _tables(tenant.source):
        tenant.bench.execute(f"update {table.fullname} set parser_version = 0")
    tenant.bench.execute(f"update {tenant.table.fullname} set text = 'as an older parser had it'")


def _tables(source: Source) -> list[Table]:
    return [record.table for record in source.records]


def _conversations(tenant: Tenant) -> None:
    bench = tenant.bench
    bench.order("openai/key", key=KEY)
    for place in range(3):
        tenant.add(hours_ago=1 + place)
    tenant.reads()


def _to_be_erased(tenant: Tenant) -> None:
    """Read what somebody says who is to be erased; the list of erased people has its key already."""
    TALKS[tenant.source.name](tenant)
    tenant.reads()
    _erased(tenant.bench.app, "somebody@else.example")


def _erase(app: App, _source: Source, _clock: Clock, _owner: str) -> int:
    """Erase, and finish by night what a killed run has put on the list."""
    count, tomorrow = _erased(app, EMAIL), datetime.now(UTC) + timedelta(days=1)
    return count + len(list(finish_erasures(app.engine, app.vault, SOURCES, FEATURE_TABLES, tomorrow)))


def _erased(app: App, email: str) -> int:
    people = erase(
        app.engine, app.vault, SOURCES, FEATURE_TABLES, Person(email), workspace_id=WORKSPACE, write=True
    )
    return sum(one.counts.total() for one in people)


def _sync(app: App, source: Source, clock: Clock, owner: str) -> str:
    with app.engine.connect() as conn:
        [row] = find_accounts(conn, source=source.name)
    return sync(source, row, app.options_of(source), replace(app.worker(owner), clock=clock)).status


def _replay(app: App, source: Source, _clock: Clock, owner: str) -> int:
    return sum(
        one.stored
        for one in replay_all(app.engine, [source], _always, owner=owner, length=LENGTH, vault=app.vault)
    )


def _derive(app: App, source: Source, _clock: Clock, _owner: str) -> int:
    return sum(derived.changed for derived in derive_anew(app.engine, [source], _always, step=STEP))


def _extract(app: App, source: Source, clock: Clock, owner: str) -> str:
    [kind] = (kind for kind in FEATURED if kind.source is source)
    settings = app.model.model_copy(update={"parallel": 1})
    return Extractor(engine=app.engine, settings=settings, owner=owner, clock=clock).run(kind, WORKSPACE).status


def _extract_by_batch(app: App, source: Source, clock: Clock, owner: str) -> str:
    """Submit a batch, and collect it."""
    [kind] = (kind for kind in FEATURED if kind.source is source)
    settings = app.model.model_copy(update={"mode": "batch"})
    extractor = Extractor(engine=app.engine, settings=settings, owner=owner, clock=clock)
    return [extractor.run(kind, WORKSPACE).status for _ in range(2)][-1]


def _always() -> bool:
    return True


OPERATIONS: dict[str, Operation] = {
    "first sync": Operation(_many, _sync),
    "sync of changes": Operation(_changed, _sync),
    "audit": Operation(_changed_of_old, _sync, ("slack",)),
    "replay": Operation(_set_aside, _replay),
    "deriving anew": Operation(_of_older_parser, _derive),
    "erasing a person": Operation(_to_be_erased, _erase),
    "extraction": Operation(_conversations, _extract, READ_BY_MODEL),
    "extraction by batch": Operation(_conversations, _extract_by_batch, READ_BY_MODEL),
}
