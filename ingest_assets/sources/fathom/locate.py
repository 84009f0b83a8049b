"""Fathom's ids and addresses: https://fathom.video/calls/123, https://fathom.video/share/..., a recording's id."""

import re
from collections.abc import Iterator

from ingest_assets.sources.fathom.records import FathomSession
from ingest_assets.sources.locating import Sought, locating
from ingest_assets.storage.schema import StoredRow


def _recording(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=FathomSession, value=match["id"])


def _call(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=FathomSession, value=match["url"], column="url")


def _share(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=FathomSession, value=match["url"], column="share_url", in_raw=True)


HOST, REST = r"https?://(?:www\.)?fathom\.(?:video|ai|example)", r"/?(?:[?#][!-~]{0,300})?"
locate = locating(
    (
        (rf"(?P<url>{HOST}/(?:calls|recordings?)/[A-Za-z0-9_-]{{1,100}}){REST}", _call),
        (rf"(?P<url>{HOST}/share/[A-Za-z0-9_-]{{1,200}}){REST}", _share),
        (r"(?P<id>\d{5,19})", _recording),
    )
)


def link(row: StoredRow, _account: StoredRow) -> str | None:
    """Return where Fathom shows a session."""
    url: str | None = row.url
    return url
