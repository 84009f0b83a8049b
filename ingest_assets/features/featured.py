"""The sources whose conversations the language model reads: all that give a transcript."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Table

from ingest_assets.sources import SOURCES
from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.source import Source
from ingest_assets.sources.transcript import Transcript
from ingest_assets.storage.feature_tables import feature_table


@dataclass(frozen=True)
class Featured:
    """A source with conversations, and the table of what was found in them."""

    source: Source
    transcript: Callable[[JsonView], Transcript]
    table: Table

    @property
    def records(self) -> Table:
        return self.source.main.table

    @property
    def noun(self) -> str:
        return self.source.noun


FEATURED = tuple(
    Featured(source, source.transcript, feature_table(f"{source.name}_{source.noun}_features"))
    for source in SOURCES
    if source.transcript is not None
)

FEATURE_TABLES = {kind.records: kind.table for kind in FEATURED}
"""By the table of the conversations."""
