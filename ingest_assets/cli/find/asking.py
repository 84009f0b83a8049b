"""Ask a vendor for one item."""

import asyncio

from ingest_assets.app import App
from ingest_assets.cli.doctor.accounts import first
from ingest_assets.errors import IngestError, SourceError
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.locating import Shown, Sought
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.oauth import login_of

SECONDS = 60.0
CANNOT = "cannot be asked for this one item"


def asked(app: App, row: StoredRow, sought: Sought) -> Shown | str:
    """Return what the vendor says of an item to an account, or why that is not known."""
    source = BY_NAME[row.source]
    shows = source.connector().shows
    if shows is None:
        return CANNOT
    try:
        login = login_of(source, row, app.options_of(source), engine=app.engine, vault=app.vault)

        async def ask() -> Shown | None:
            async with asyncio.timeout(SECONDS):
                return await shows(login, sought)

        return asyncio.run(ask()) or CANNOT
    except TimeoutError:
        return f"did not answer within {SECONDS:.0f} seconds"
    except (SourceError, IngestError) as error:
        return f"did not tell: {first(str(error)).rstrip('.')}"
