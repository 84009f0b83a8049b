"""One page is committed while the source reads the next."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Table

from ingest_assets.sources.source import Page, Store
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.sync.page import RowsByTable

Commit = Callable[[Page, RowsByTable], Awaitable[None]]


class _NotStored(Exception):
    """What a commit met, its cause, ends the reading, whatever a source catches of its vendor."""


@asynccontextmanager
async def committing(commit: Commit) -> AsyncGenerator[Store]:
    """Give what takes pages: it returns once the page before is committed, and this one's commit has begun.

    At the end the last commit is waited for. Raises what a commit raised.
    """
    commits = _Commits(commit)
    try:
        try:
            yield commits.store
        finally:
            await commits.finish()
    except _NotStored as error:
        raise error.__cause__ or error from None


class _Commits:
    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Task[None] | None = None

    async def store(self, page: Page) -> None:
        rows = _rows_of(page)
        async with self._turn:
            await self.finish()
            self._under_way = asyncio.ensure_future(self._commit(page, rows))

    async def finish(self) -> None:
        """Wait for the commit under way, whoever is cancelled meanwhile: a thread cannot be called back."""
        if self._under_way is None:
            return
        cancelled: asyncio.CancelledError | None = None
        while not self._under_way.done():
            try:
                await asyncio.wait([self._under_way])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if (met := self._under_way.exception()) is not None:
            raise _NotStored from met


def _rows_of(page: Page) -> RowsByTable:
    rows: defaultdict[Table, dict[str, RecordRow]] = defaultdict(dict)
    for record in page.records:
        rows[record.table][record.external_id] = record.row()
    return rows
