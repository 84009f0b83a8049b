"""Log in and see what a Gong login may read, before it is stored."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from ingest_assets.errors import CredentialRejected, IngestError, PartUnreadable, SourceError
from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.gong.client import GongClient
from ingest_assets.sources.gong.connect import GongLogin, GongSettings
from ingest_assets.sources.gong.methods import ONLY_NAMES, SCOPES
from ingest_assets.sources.json_values import mappings_in, text_of
from ingest_assets.sources.login import Probe

PROBED = timedelta(hours=1)

NO_HOST = (
    "A Gong key works at one host only: pass --base-url, which a technical administrator reads at "
    "app.gong.io/company/api (https://us-12345.api.gong.io for one)."
)


async def probe(login: GongLogin) -> Sequence[Probe]:
    """Log in and try what a sync will do. Raises SourceError or IngestError, in one sentence."""
    settings: GongSettings = login.settings
    if login.tokens is None and settings.base_url is None and not login.options.api_url:
        raise IngestError(NO_HOST)
    now = login.clock.now()
    async with GongClient.open(login) as client:
        host = urlsplit(client.base_url).hostname or ""
        warnings = _lacking(host, await client.refusals(now - PROBED, now))
        workspaces: list[Any] = []
        try:
            workspaces = [workspace async for page in client.workspaces(tries=TRIES) for workspace in page]
        except (CredentialRejected, PartUnreadable) as error:
            warnings.append(f"{error} Without it workspaces have no names.")
    known = sorted(
        (one for one in mappings_in(workspaces) if isinstance(one.get("id"), str) and one["id"]),
        key=lambda workspace: (len(workspace["id"]), workspace["id"]),
    )
    return [
        Probe(
            external_id=known[0]["id"] if known else login.credential.fingerprint(),
            name=text_of(known[0].get("name")) or host if known else host,
            settings=settings.model_dump(mode="json"),
            warnings=warnings,
        )
    ]


def _lacking(host: str, refused: Mapping[str, SourceError]) -> list[str]:
    """Warn of what is missing. Raises CredentialRejected where a sync would fail for it."""
    if needed := [SCOPES[method] for method in refused if method not in ONLY_NAMES]:
        raise CredentialRejected(
            f"Gong at {host} knows the login, which lacks what a sync needs: {', '.join(needed)}. "
            "Grant it, then connect."
        )
    return [f"{error} Without it users have no names." for error in refused.values()]
