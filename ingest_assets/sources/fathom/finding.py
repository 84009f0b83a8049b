"""Why a session may not be here, by an account's cursor, and by Fathom itself."""

from collections.abc import Mapping

from ingest_assets.errors import PartUnreadable
from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.fathom.client import GONE, FathomClient
from ingest_assets.sources.fathom.connect import FathomLogin
from ingest_assets.sources.fathom.extract import Sessions
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.locating import Covered, Shown, Sought
from ingest_assets.sources.time_window_plan import covered_by


def covered(cursors: Mapping[str, Json], _sought: Sought) -> Covered | None:
    """Return what was read of the sessions; None where none were."""
    return covered_by(cursors.get(Sessions.stream))


async def shows(login: FathomLogin, sought: Sought) -> Shown | None:
    """Ask for a recording's transcript: there is no other request by id. None for an address.

    Raises SourceError, where the answer does not tell.
    """
    if sought.column != "external_id":
        return None
    async with FathomClient.open(login) as client:
        try:
            await client.transcript(sought.value, TRIES)
        except PartUnreadable as error:
            if error.code != GONE:
                raise
            return Shown(shown=False)
    return Shown(shown=True)
