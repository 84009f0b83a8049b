"""Why a call may not be here, by an account's cursor, and by Gong itself."""

from collections.abc import Mapping
from datetime import datetime

from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.gong.client import GongClient
from ingest_assets.sources.gong.connect import GongLogin
from ingest_assets.sources.gong.extract import Calls
from ingest_assets.sources.gong.records import moment_of
from ingest_assets.sources.json_values import Json, JsonView, mapping_of, mappings_in
from ingest_assets.sources.locating import Covered, Shown, Sought
from ingest_assets.sources.time_window_plan import covered_by

PRIVATE = "private, and the account leaves private calls out"


def covered(cursors: Mapping[str, Json], _sought: Sought) -> Covered | None:
    """Return what was read of the calls; None where none were."""
    return covered_by(cursors.get(Calls.stream))


async def shows(login: GongLogin, sought: Sought) -> Shown | None:
    """Ask for one call by its id. Raises SourceError."""
    async with GongClient.open(login) as client:
        found = mappings_in(await client.calls_by_id([sought.value], TRIES))
    for call in found:
        facts = mapping_of(call.get("metaData"))
        if str(facts.get("id")) == sought.value:
            if facts.get("isPrivate") is False or login.settings.include_private:
                return Shown(shown=True, at=_moment(facts))
            return Shown(shown=True, at=_moment(facts), left_out=PRIVATE, chosen={"include_private": True})
    return Shown(shown=False)


def _moment(facts: JsonView) -> datetime | None:
    try:
        return moment_of(facts)
    except (KeyError, TypeError, ValueError):
        return None
