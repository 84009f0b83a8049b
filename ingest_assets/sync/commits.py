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
    """What a commit met ends the reading, whatever a source catches of its vendor."""

    def __init__(self, met: Exception) -> None:
        super().__init__()
        self.met = met


@asynccontextmanager
async def committing(commit: Commit) -> AsyncGenerator[Store]:
    """Give what takes pages: it returns once the page before is committed, and this one's commit has begun.

    A page that was handed over is committed even where who waits there is cancelled: its requests were made.
    At the end all commits are waited for. Raises what a commit raised; no page after that is committed.
    """
    commits = _Commits(commit)
    try:
        try:
            yield commits.store
        finally:
            await commits.finish()
    except _NotStored as error:
        raise error.met from None


class _Commits:
    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._last: asyncio.Task[None] | None = None

    async def store(self, page: Page) -> None:
        before, rows = self._last, _rows_of(page)
        self._last = asyncio.ensure_future(self._after(before, page, rows))
        if before is not None:
            await asyncio.wait([before])  # which cancels no commit where it is cancelled itself
            before.result()

    async def _after(self, before: asyncio.Task[None] | None, page: Page, rows: RowsByTable) -> None:
        if before is not None:
            await before
        try:
            await self._commit(page, rows)
        except Exception as error:  # whatever it is: `committing` raises it as it is
            raise _NotStored(error) from error

    async def finish(self) -> None:
        """Wait for the commits under way, whoever is cancelled meanwhile: a thread cannot be called back."""
        if self._last is None:
            return
        cancelled: asyncio.CancelledError | None = None
        while not self._last.done():
            try:
                await asyncio.wait([self._last])
            except asyncio.CancelledError as error:
                cancelled = error
        self._last.result()
        if cancelled is not None:
            raise cancelled


def _rows_of(page: Page) -> RowsByTable:
    rows: defaultdict[Table, dict[str, RecordRow]] = defaultdict(dict)
    for record in page.records:
        rows[record.table][record.external_id] = record.row()
    return rows
