"""Google's access tokens: for a user's refresh token, or for one mailbox of a service account.

Google's library makes the requests; they are sent as all others are: bounded, and no redirect is followed with a
secret.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import orjson
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from ingest_assets.errors import CredentialRejected, Transient
from ingest_assets.sources.client.http import JsonApi, Request, http_client
from ingest_assets.sources.client.retry import retried
from ingest_assets.sources.gmail.connect import GmailLogin
from ingest_assets.sources.gmail.errors import token_meaning
from ingest_assets.sources.gmail.methods import TOKEN
from ingest_assets.sources.login import TokenPair

LONGEST_LIFETIME = 7 * 86_400  # seconds; Google's tokens last an hour
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@dataclass(frozen=True)
class Exchanged:
    """Tokens of a login that are kept nowhere: each one is asked for."""

    login: GmailLogin

    async def current(self) -> TokenPair:
        return await retried(partial(exchange, self.login, ""), self.login.clock)

    async def after(self, _refused: TokenPair) -> TokenPair:
        return await self.current()


async def exchange(login: GmailLogin, refresh_token: str) -> TokenPair:
    """Get an access token for a user's refresh token, or for a service account's mailbox."""
    url: str = login.options.token_url
    google = _credentials(login.credential, url, refresh_token)
    whose = login.credential.subject or ""
    async with http_client() as http:
        api = JsonApi(
            http,
            login,
            vendor="Google",
            base_url=url,
            meaning=lambda _request, status, body: token_meaning(status, body, whose=whose),
        )
        try:
            await asyncio.to_thread(google.refresh, _sender(api))
        except (GoogleAuthError, ValueError, TypeError, OverflowError):
            raise Transient("Google's token endpoint gave no token; check GOOGLE_TOKEN_URL.") from None
    if not isinstance(google.token, str) or not (google.token.isascii() and google.token.isprintable()):
        raise Transient("Google's token endpoint gave no token; check GOOGLE_TOKEN_URL.")
    return TokenPair(
        access_token=google.token,
        refresh_token=getattr(google, "refresh_token", None) or "",
        # Google need not tell how long a token lasts; one that no longer does is refused, and replaced then
        expires_at=None if google.expiry is None else google.expiry.replace(tzinfo=UTC),
    )


def _sender(api: JsonApi) -> Callable[..., Any]:
    """Return what sends the requests of Google's library, from the thread that it runs in.

    It raises SourceError for all but a good answer, so that the library need not judge any.
    """
    loop = asyncio.get_running_loop()

    def send(url: str, method: str, body: bytes, headers: Mapping[str, str], **_more: Any) -> SimpleNamespace:
        request = Request(TOKEN, method, url, content=body, content_type=headers["Content-Type"])
        answer = asyncio.run_coroutine_threadsafe(api.ask(request), loop).result()
        lifetime = answer.get("expires_in")
        if not (isinstance(lifetime, int) and 0 < lifetime <= LONGEST_LIFETIME):
            answer.pop("expires_in", None)  # as if it had not been told
        return SimpleNamespace(status=HTTPStatus.OK, headers={}, data=orjson.dumps(answer))

    return send


def _credentials(credential: Any, token_url: str, refresh_token: str) -> Any:
    """Tell Google's library both addresses itself: what a key file or the library says would win otherwise."""
    if credential.service_account is None:
        return Credentials(  # type: ignore[no-untyped-call]  # Google's
            None,
            refresh_token=refresh_token or credential.refresh_token.get_secret_value(),
            client_id=credential.client_id,
            client_secret=credential.client_secret.get_secret_value(),
            token_uri=token_url,
        )
    info = orjson.loads(credential.service_account.get_secret_value())
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # Google's
            info | {"token_uri": token_url}, scopes=[READONLY], subject=credential.subject
        )
    except ValueError:
        raise CredentialRejected(
            "The private_key in the service account's key cannot be read; download the JSON key again."
        ) from None
