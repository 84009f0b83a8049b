"""Log in and see what a Fathom login may read, before it is stored."""

from collections.abc import Sequence
from datetime import timedelta

from ingest_assets.sources.fathom.client import FathomClient
from ingest_assets.sources.fathom.connect import FathomLogin, FathomSettings
from ingest_assets.sources.login import Probe

QUIET = timedelta(days=30)  # without any session: then the login's user most likely may see none
DEFAULT_NAME = "default"
NOTHING = (
    "This login sees no session of the last 30 days. A key sees what its user recorded and what is shared with "
    "that user: use the key of a user with a wide view, or connect more keys."
)


async def probe(login: FathomLogin) -> Sequence[Probe]:
    """Log in and list once. Fathom does not tell whose key it is: an account is known by the name it is given."""
    settings: FathomSettings = login.settings
    now = login.clock.now()
    async with FathomClient.open(login) as client:
        warnings = [] if await client.sees_any(now - QUIET, now) else [NOTHING]
    return [
        Probe(external_id=None, name=DEFAULT_NAME, settings=settings.model_dump(mode="json"), warnings=warnings)
    ]
