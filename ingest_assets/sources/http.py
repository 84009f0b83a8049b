"""JSON over HTTP, for vendors without a client library worth having: sends, counts, classifies."""

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

import httpx
import orjson

from ingest_assets.errors import (
    CredentialRejected,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.login import Login, TokenPair
from ingest_assets.sources.patience import Pace, patiently

TIMEOUT = httpx.Timeout(60, connect=10)
REFRESH_REFUSED = (400, 401)  # invalid_grant and invalid_client
HTTP_OK, HTTP_CLIENT_ERROR, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 200, 400, 429, 500


@dataclass(frozen=True)
class Request:
    """One request: `method` names it in counts and in messages."""

    method: str
    verb: str
    path: str
    params: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None


Meaning = Callable[[Request, int, Any], SourceError]
"""(request, status, parsed body or None) -> what a 4xx answer means."""


class JsonApi:
    """One account's requests to one vendor. Raises only SourceError; counts every request in `login.calls`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        login: Login,
        *,
        vendor: str,
        base_url: str,
        headers: Mapping[str, str],
        meaning: Meaning,
        auth: httpx.Auth | None = None,
        pace: Callable[[Request], Pace | None] = lambda _request: None,
        seen: Callable[[Request, httpx.Headers], None] = lambda _request, _headers: None,
        hints: Mapping[int, str] = {},
    ) -> None:
        """`hints`: what else a vendor is known to mean by a 5xx status, as a sentence."""
        self.base_url = base_url.rstrip("/")
        self._http = http
        self._login = login
        self._vendor = vendor
        self._headers = dict(headers)
        self._auth = auth
        self._meaning = meaning
        self._pace = pace
        self._seen = seen
        self._hints = hints
        self._pair: TokenPair | None = None

    def use(self, pair: TokenPair) -> None:
        """Send a pair's access token from now on."""
        self._pair = pair
        self._headers["authorization"] = f"Bearer {pair.access_token}"

    async def call(self, request: Request) -> dict[str, Any]:
        """Ask patiently; the answer is a JSON object."""
        return await patiently(partial(self._try, request), self._login.clock)

    async def _try(self, request: Request) -> dict[str, Any]:
        pair, tokens = self._pair, self._login.tokens
        try:
            return await self.ask(request)
        except TokenRefused:
            if tokens is None or pair is None:
                raise
            if pair is self._pair:  # else another request has brought a new one meanwhile
                self.use(await tokens.after(pair))
        return await self.ask(request)

    async def ask(self, request: Request) -> dict[str, Any]:
        """Ask once."""
        pace = self._pace(request)
        async with nullcontext() if pace is None else pace.turn():
            response = await self._send(request)
        self._seen(request, response.headers)
        return self._understood(request, response)

    async def _send(self, request: Request) -> httpx.Response:
        self._login.calls[request.method] += 1
        try:
            return await self._http.request(
                request.verb,
                self.base_url + request.path,
                params=request.params,
                json=request.body,
                data=request.form,
                headers=self._headers,
                auth=self._auth,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(
                f"{self._vendor} did not answer {request.method} ({type(error).__name__})."
            ) from None  # its text may hold the address with its parameters

    def _understood(self, request: Request, response: httpx.Response) -> dict[str, Any]:
        status = response.status_code
        if status == HTTP_TOO_MANY:
            pause = _seconds(response.headers.get("retry-after"))
            raise Transient(f"{self._vendor} asks us to slow down on {request.method} (429).", retry_after=pause)
        if status >= HTTP_SERVER_ERROR:
            sentences = [f"{self._vendor} answered {request.method} with HTTP {status}.", self._hints.get(status)]
            raise Transient(" ".join(filter(None, sentences)))
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            body = None
        if status == HTTP_OK and isinstance(body, dict):
            return body
        if status == HTTP_OK:
            raise Transient(f"{self._vendor}'s answer to {request.method} is not a JSON object.")
        if status < HTTP_CLIENT_ERROR:
            raise UnexpectedResponse(f"{self._vendor} answered {request.method} with HTTP {status}.")
        raise self._meaning(request, status, body)


@asynccontextmanager
async def http_client() -> AsyncGenerator[httpx.AsyncClient]:
    """Open connections that follow no redirect: a credential goes to the address that was checked, only."""
    async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, verify=_trusted()) as http:
        yield http


@cache
def _trusted() -> ssl.SSLContext:
    """Read the certificate authorities once: it takes longer than a request."""
    return httpx.create_ssl_context()


async def next_pair(
    login: Login, form: Mapping[str, str], *, vendor: str, auth: httpx.Auth | None = None
) -> TokenPair:
    """Trade a single-use refresh token at `options.token_url`, as OAuth 2 has it (RFC 6749, section 6).

    Raises CredentialRejected where the vendor does not take the token.
    """

    def meaning(_request: Request, status: int, _body: Any) -> SourceError:
        if status in REFRESH_REFUSED:
            return CredentialRejected(
                f"{vendor} refused the refresh token (HTTP {status}): it was used elsewhere, revoked, or is not "
                "of this app. Authorise the app again and connect with the new refresh token."
            )
        setting = f"{login.options.prefix}_TOKEN_URL"
        return UnexpectedResponse(f"{vendor}'s token endpoint answered HTTP {status}; check {setting}.")

    async with http_client() as http:
        api = JsonApi(
            http,
            login,
            vendor=vendor,
            base_url=login.options.token_url,
            headers={},
            meaning=meaning,
            auth=auth,
        )
        answer = await api.ask(Request("oauth.token", "POST", "", form={"grant_type": "refresh_token", **form}))
    try:
        expires_in = answer.get("expires_in")
        lifetime = None if expires_in is None else timedelta(seconds=int(expires_in))
        return TokenPair(
            access_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=None if lifetime is None else login.clock.now() + lifetime,
            base_url=answer.get("api_base_url_for_customer"),  # Gong's
        )
    except (KeyError, TypeError, ValueError):
        raise UnexpectedResponse(f"{vendor}'s answer to oauth.token holds no pair of tokens.") from None


def _seconds(header: str | None) -> timedelta | None:
    return timedelta(seconds=int(header)) if header is not None and header.isdecimal() else None
