"""Google's login by browser: PKCE, and a refresh token only with offline access and a consent that is asked for.

Google's library makes both requests; the second is sent as all others are: bounded, and no redirect is followed
with a secret. A user may untick scopes on the consent page: what was granted stands in the answer.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from logging import CRITICAL, getLogger
from typing import Any

import orjson
import requests
from google_auth_oauthlib.flow import Flow
from oauthlib.oauth2 import OAuth2Error
from requests.adapters import BaseAdapter

from ingest_assets.errors import CredentialRejected, UnexpectedResponse
from ingest_assets.sources.authorizing import Authorize, Consent, Granted
from ingest_assets.sources.client.code import code_meaning
from ingest_assets.sources.client.http import JsonApi, Request, http_client
from ingest_assets.sources.gmail.connect import GmailOptions, GmailSettings
from ingest_assets.sources.gmail.login import READONLY
from ingest_assets.sources.gmail.methods import TOKEN

ENOUGH = frozenset({READONLY, "https://www.googleapis.com/auth/gmail.modify", "https://mail.google.com/"})
"""Scopes that allow to read mail; an earlier consent may have given a wider one."""
SETTING = "GOOGLE_TOKEN_URL"
PERMISSIVE = {"OAUTHLIB_INSECURE_TRANSPORT": "1", "OAUTHLIB_RELAX_TOKEN_SCOPE": "1"}
"""Addresses are the settings' (http for a simulator), and fewer scopes get a sentence of ours."""

GmailConsent = Consent[GmailSettings, GmailOptions]


def address(consent: GmailConsent) -> str:
    with _permissive():
        url, _state = _flow(consent).authorization_url(access_type="offline", prompt="consent")
    return str(url)


async def exchange(consent: GmailConsent, code: str) -> Granted:
    """Trade a code for a refresh token that may read mail. Raises CredentialRejected for one that may not."""
    flow = _flow(consent)
    flow.oauth2session.trust_env = False  # else ~/.netrc might add a login of its own
    async with http_client() as http:
        api = JsonApi(
            http,
            consent,
            vendor="Google",
            base_url=consent.options.token_url,
            meaning=lambda _request, status, body: code_meaning("Google", SETTING, status, body),
        )
        for scheme in ("https://", "http://"):
            flow.oauth2session.mount(scheme, _Sender(api))
        try:
            with _permissive():
                token = await asyncio.to_thread(flow.fetch_token, code=code, include_client_id=True)
        except (OAuth2Error, ValueError, TypeError, AttributeError):  # of the library, about the answer
            raise UnexpectedResponse(f"Google's answer to the login holds no tokens; check {SETTING}.") from None
    return _granted(token)


def _granted(token: dict[str, Any]) -> Granted:
    scopes = token.get("scope")  # left out where it is what was asked for
    if scopes is not None and not ENOUGH & set(scopes):
        raise CredentialRejected(
            f"The scope {READONLY} was not granted: its box was not ticked on Google's page. Log in once more and "
            "tick it."
        )
    if not isinstance(refresh_token := token.get("refresh_token"), str):
        raise CredentialRejected(
            "Google gave no refresh token. Remove the app's access at https://myaccount.google.com/connections, "
            "and log in once more."
        )
    return Granted(secrets={"refresh_token": refresh_token})


def _flow(consent: GmailConsent) -> Any:
    getLogger("requests_oauthlib").setLevel(CRITICAL)  # at DEBUG it would log the secret and the tokens
    client = {
        "client_id": consent.client_id,
        "client_secret": consent.client_secret,
        "auth_uri": consent.options.authorize_url,
        "token_uri": consent.options.token_url,
    }
    return Flow.from_client_config(
        {"installed": client},
        scopes=[READONLY],
        redirect_uri=consent.redirect_url,
        state=consent.state,
        code_verifier=consent.verifier,
    )


class _Sender(BaseAdapter):
    """Sends what the library's session would, by the client of the loop that started the session's thread."""

    def __init__(self, api: JsonApi) -> None:
        super().__init__()
        self._api = api
        self._loop = asyncio.get_running_loop()

    def send(self, request: requests.PreparedRequest, *_more: object, **_options: object) -> requests.Response:
        """Raise SourceError for all but a good answer, so that the library need not judge any."""
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        asked = Request(
            TOKEN, "POST", str(request.url), content=body, content_type="application/x-www-form-urlencoded"
        )
        answer = asyncio.run_coroutine_threadsafe(self._api.ask(asked), self._loop).result()
        if answer.get("error"):
            raise code_meaning("Google", SETTING, HTTPStatus.BAD_REQUEST, answer)
        response = requests.Response()
        response.status_code = HTTPStatus.OK
        response.request = request
        response._content = orjson.dumps({name: value for name, value in answer.items() if name != "expires_in"})
        return response

    def close(self) -> None:
        """Leave the client open: whoever made it closes it."""


@contextmanager
def _permissive() -> Iterator[None]:
    """Let oauthlib take the settings' addresses, and an answer with other scopes; it has no other switch."""
    before = {name: os.environ.get(name) for name in PERMISSIVE}
    os.environ.update(PERMISSIVE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


AUTHORIZE = Authorize(address=address, exchange=exchange, loopback=True)
