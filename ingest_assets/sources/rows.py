"""Rows on their way into a page, and parsing that sets aside what it does not understand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import Parsed, Rejected, parsed
from ingest_assets.sources.source import Page


@dataclass
class Rows:
    """Rows, rejected items, deletions, and parts that could not be read or can be again."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unreadable: list[UnreadablePart] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.rejected)

    def add(self, other: "Rows") -> None:
        self.records += other.records
        self.rejected += other.rejected
        self.gone += other.gone
        self.unreadable += other.unreadable
        self.read += other.read

    def page(self, **more: Any) -> Page:
        """Make a page of it."""
        return Page(
            self.records,
            gone=self.gone,
            rejected=self.rejected,
            unreadable=self.unreadable,
            read=self.read,
            **more,
        )

    def parse(
        self, record: type[Parsed], item: object, parse: Callable[[Any], Parsed], *, external_id: object = None
    ) -> Parsed | None:
        """Add the item's record and give it, or add the item itself to the rejected ones."""
        made = self.parsed(record, item, parse, external_id=external_id)
        if made is not None:
            self.records.append(made)
        return made

    def parsed(
        self, record: type[Parsed], item: object, parse: Callable[[Any], Parsed], *, external_id: object = None
    ) -> Parsed | None:
        """Return the item's record without adding it, or add the item itself to the rejected ones."""
        made = parsed(record, item, parse, external_id=external_id)
        if isinstance(made, Rejected):
            self.rejected.append(made)
            return None
        return made
