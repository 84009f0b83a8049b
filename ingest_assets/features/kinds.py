"""Which records have a transcript, and how each is read. A new one is a line in `FEATURED`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from ingest_assets.sources.fathom import FATHOM
from ingest_assets.sources.fathom.transcript import of_fathom
from ingest_assets.sources.gong import GONG
from ingest_assets.sources.gong.transcript import of_gong
from ingest_assets.sources.source import Source
from ingest_assets.sources.transcript import Transcript
from ingest_assets.storage.feature_tables import feature_table


@dataclass(frozen=True)
class Featured:
    """A source whose conversations are read by the language model."""

    source: Source
    table: Table
    noun: str
    transcript: Callable[[Mapping[str, Any]], Transcript]

    @property
    def records(self) -> Table:
        return self.source.main.table


FEATURED = (
    Featured(GONG, feature_table("gong_call_features"), "call", of_gong),
    Featured(FATHOM, feature_table("fathom_session_features"), "session", of_fathom),
)
