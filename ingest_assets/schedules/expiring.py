"""Delete each night what is older than its source, or its account, keeps it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Engine

from ingest_assets.features.featured import FEATURED
from ingest_assets.settings import SourceOptions
from ingest_assets.sources import SOURCES
from ingest_assets.sources.retention import later
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.retention import Kind, expire

FEATURES = {kind.records: kind.table for kind in FEATURED}


def delete_old(
    engine: Engine, options_of: Callable[[Source], SourceOptions], now: datetime, tell: Callable[..., None]
) -> None:
    """Delete what is older than it is kept, of disconnected accounts, too; tell the counts."""
    for source in SOURCES:
        options = options_of(source)
        with engine.connect() as conn:
            accounts = find_accounts(conn, source=source.name, disconnected=True)
        for account in accounts:
            since = source.settings.model_validate(account.settings).kept_since(options, now)
            if since is None:
                continue
            for table, count in expire(engine, account, _kinds_of(source), since, partial(later, since=since)):
                if count:
                    tell(
                        "workspace %s: %d rows of %s were from before %s",
                        account.workspace_id,
                        count,
                        table,
                        since,
                    )


def _kinds_of(source: Source) -> list[Kind]:
    """Return the tables of what was said, conversations before what goes with them."""
    main = source.main.table
    return [Kind(one.table, main if one.whole else None, FEATURES.get(one.table)) for one in source.assets]
