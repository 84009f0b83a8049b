"""Fathom's login by browser: one scope, the app's id and secret in the body, no PKCE in the documents."""

from ingest_assets.sources.authorizing import Authorize, Consent, Granted, authorize_address
from ingest_assets.sources.client.code import exchange_code, granted
from ingest_assets.sources.fathom.connect import FathomOptions, FathomSettings

SCOPE = "public_api"
FathomConsent = Consent[FathomSettings, FathomOptions]


def address(consent: FathomConsent) -> str:
    return authorize_address(consent.options.authorize_url, consent, SCOPE)


async def exchange(consent: FathomConsent, code: str) -> Granted:
    form = {"code": code, "client_id": consent.client_id, "client_secret": consent.client_secret}
    return granted(await exchange_code(consent, form, vendor="Fathom"), "Fathom")


AUTHORIZE = Authorize(address=address, exchange=exchange)
