"""The exchange of a code for tokens at a vendor's token endpoint (RFC 6749, section 4.1.3)."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from ingest_assets.errors import CredentialRejected, SourceError, Transient, UnexpectedResponse
from ingest_assets.sources.authorizing import Consent, Granted
from ingest_assets.sources.client.http import JsonApi, Request, http_client
from ingest_assets.sources.json_values import Json, mapping_of, text_of

CODE = re.compile(r"[A-Za-z_]{1,60}", re.ASCII)  # anything else is no code of an error, and not repeated
REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

RUN_AGAIN = "Run the command once more."
PASSING = frozenset({"server_error", "temporarily_unavailable", "internal_failure", "rate_limit_exceeded"})
ERRORS = {
    "invalid_grant": "the code was used already, is too old, or belongs to another redirect URL. " + RUN_AGAIN,
    "invalid_client": "it does not know this client id with this client secret; compare both with the app's page.",
    "unauthorized_client": "the app may not log in this way; compare its type and redirect URL with its page.",
    "redirect_uri_mismatch": "the redirect URL is not one of the app's; register it on the app's page.",
    "invalid_scope": "the app may not ask for these scopes; add them on the app's page.",
    "access_denied": "access was denied; an administrator may have to allow the app.",
}
"""Codes of RFC 6749, section 5.2, and of vendors: what each means for a login, and what to do."""


def code_meaning(vendor: str, setting: str, status: int, body: object) -> SourceError:
    """Classify a 4xx of a token endpoint that was sent a code."""
    reason = text_of(mapping_of(body).get("error")) or ""
    if reason in PASSING or status == HTTPStatus.REQUEST_TIMEOUT:
        return Transient(f"{vendor}'s token endpoint could not take the login. {RUN_AGAIN}")
    if CODE.fullmatch(reason):
        told = ERRORS.get(reason, f"the app or the login is not right for it. {RUN_AGAIN}")
        return CredentialRejected(f"{vendor} gave no token for the login ({reason}): {told}", code=reason)
    if status in REFUSED:
        told = f"compare client id, client secret and redirect URL with the app's page. {RUN_AGAIN}"
        return CredentialRejected(f"{vendor} gave no token for the login (HTTP {status}): {told}")
    return UnexpectedResponse(f"{vendor}'s token endpoint answered HTTP {status}; check {setting}.")


async def exchange_code(
    consent: Consent[Any, Any], form: Mapping[str, str], *, vendor: str, auth: httpx.Auth | None = None
) -> Json:
    """Send a code to the token endpoint; `form`: the code, and what else the vendor wants in the body."""
    setting = f"{consent.options.prefix}_TOKEN_URL"
    sent = {"grant_type": "authorization_code", "redirect_uri": consent.redirect_url, **form}
    async with http_client() as http:
        api = JsonApi(
            http,
            consent,
            vendor=vendor,
            base_url=consent.options.token_url,
            meaning=lambda _request, status, body: code_meaning(vendor, setting, status, body),
            auth=auth,
        )
        answer = await api.ask(Request("oauth.token", "POST", "", form=sent))
    if answer.get("error"):  # some servers answer 200 to what they refuse
        raise code_meaning(vendor, setting, HTTPStatus.BAD_REQUEST, answer)
    return answer


def granted(answer: Json, vendor: str, **settings: str) -> Granted:
    """Return what lasts of a token endpoint's answer: the refresh token. Raises CredentialRejected without one."""
    if refresh_token := text_of(answer.get("refresh_token")):
        return Granted(secrets={"refresh_token": refresh_token}, settings=settings)
    if not text_of(answer.get("access_token")):
        raise UnexpectedResponse(f"{vendor}'s answer to the login holds no tokens.")
    raise CredentialRejected(
        f"{vendor} gave no refresh token, without which the login would end within hours; take the app's access "
        f"away at {vendor} and log in anew, or use a key instead."
    )
