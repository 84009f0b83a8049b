"""The vendors we read. A new one is a module here and a line in `SOURCES`."""

from ingest_assets.sources.fathom import FATHOM
from ingest_assets.sources.gmail import GMAIL
from ingest_assets.sources.gong import GONG
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.source import Source

SOURCES: tuple[Source, ...] = (SLACK, GONG, FATHOM, GMAIL)
BY_NAME = {source.name: source for source in SOURCES}
