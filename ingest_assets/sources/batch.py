"""Rows on their way into a page, and parsing that sets aside what it does not understand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest_assets.sources.record import UNPARSEABLE, Record, Rejected, rejection
from ingest_assets.sources.source import Extraction
from ingest_assets.storage.engine import reading

Result = TypeVar("Result")


@dataclass
class Batch:
    """Rows, rejected items and deletions."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.rejected)

    def add(self, other: "Batch") -> None:
        self.records += other.records
        self.rejected += other.rejected
        self.gone += other.gone

    def parse(
        self, record: type[Record], item: Any, parse: Callable[[Any], Record], *, external_id: str | None = None
    ) -> None:
        """Add the item's record, or the item itself to the rejected ones."""
        try:
            self.records.append(parse(item))
        except UNPARSEABLE as error:
            self.rejected.append(rejection(record, item, error, external_id=external_id))


async def stored(run: Extraction, read: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Ask the database without holding up the requests in flight."""

    def query() -> Result:
        with reading(run.engine) as conn:
            return read(conn, *args, **kwargs)

    return await asyncio.to_thread(query)
