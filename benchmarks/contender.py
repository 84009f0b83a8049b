"""Ours: the database's only workspace, synced the way that every run syncs.

Before the measuring begins: imports (httpx has some with its first client and request), the certificate
authorities, which a process reads once and the yardstick not at all, settings, the first connection to the
database (the check of its schema). Within: all of `sync_workspaces()`, from taking the lease to writing history.
"""

import asyncio

import anyio._backends._asyncio

from benchmarks.measure import told
from ingest_assets.app import App
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.client.http import http_client
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.sync.result import SUCCESS

assert anyio._backends._asyncio


async def prepare() -> None:
    """Do what the first client of a process does for all others."""
    async with http_client():
        pass


def main() -> None:
    app = App.load()
    worker = app.worker("benchmark")
    with worker.engine.connect() as conn:
        [row] = find_accounts(conn)
    source = BY_NAME[row.source]
    source.connector()  # imports it
    asyncio.run(prepare())
    with told():
        [(_, [result])] = sync_workspaces(source, [row.workspace_id], app.options_of(source), worker)
        assert result.status == SUCCESS, result.reason


if __name__ == "__main__":
    main()
