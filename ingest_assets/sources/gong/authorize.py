"""Gong's login by browser: HTTP Basic at the token endpoint, no PKCE, redirect URLs with https only.

A technical administrator of the customer has to log in. The answer names the customer's own host.
"""

import httpx

from ingest_assets.sources.authorizing import Authorize, Consent, Granted, authorize_address
from ingest_assets.sources.client.code import exchange_code, granted
from ingest_assets.sources.gong.connect import GongOptions, GongSettings
from ingest_assets.sources.gong.hosts import checked
from ingest_assets.sources.gong.methods import SCOPES
from ingest_assets.sources.json_values import text_of

GongConsent = Consent[GongSettings, GongOptions]


def address(consent: GongConsent) -> str:
    return authorize_address(consent.options.authorize_url, consent, " ".join(sorted(set(SCOPES.values()))))


async def exchange(consent: GongConsent, code: str) -> Granted:
    """Trade a code for tokens and the customer's host. Raises CredentialRejected for a host that is not Gong's."""
    basic = httpx.BasicAuth(consent.client_id, consent.client_secret)
    answer = await exchange_code(
        consent, {"code": code, "client_id": consent.client_id}, vendor="Gong", auth=basic
    )
    host = text_of(answer.get("api_base_url_for_customer"))
    if host is None or consent.settings.base_url is not None:
        return granted(answer, "Gong")
    return granted(answer, "Gong", base_url=checked(host, consent.options.hosts))


AUTHORIZE = Authorize(address=address, exchange=exchange)
