"""Gong's ids and addresses: https://us-12345.app.gong.io/call?id=..., https://app.gong.io/call?id=..."""

import re
from collections.abc import Iterator

from ingest_assets.sources.gong.records import GongCall
from ingest_assets.sources.locating import Sought, locating
from ingest_assets.storage.schema import StoredRow

ID = r"(?P<id>\d{10,20})"


def _call(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=GongCall, value=match["id"])


locate = locating(
    (
        (
            rf"https?://(?:[a-z0-9-]{{1,63}}\.){{0,2}}gong\.io/call\?(?:[!-%'-~]{{0,80}}&){{0,5}}id={ID}(?:[&#][!-~]{{0,300}})?",
            _call,
        ),
        (ID, _call),
    )
)


def link(row: StoredRow, _account: StoredRow) -> str | None:
    """Return where Gong shows a call; it leads to the company's own host."""
    return f"https://app.gong.io/call?id={row.external_id}" if hasattr(row, "duration_seconds") else None
