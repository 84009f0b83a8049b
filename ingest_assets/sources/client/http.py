"""Requests and answers of any vendor: bounded in size and depth, redirects not followed, every request counted."""

import json
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from ingest_assets.errors import (
    AnswerTooLarge,
    CredentialRejected,
    QuotaSpent,
    SourceError,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.clock import VendorClock
from ingest_assets.sources.client.headers import pause_of
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import TRIES, retried
from ingest_assets.sources.client.session import Session
from ingest_assets.sources.client.unanswered import unanswered
from ingest_assets.sources.client.unpacking import ENCODINGS, Undecodable, unpacking
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.login import Login, TokenPair

TIMEOUT = httpx.Timeout(60, connect=10)
LONGEST_ANSWER = 32 * 2**20  # bytes after decompression: Gmail sends mail of up to 25 MB, four thirds as long
REFRESH_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)  # invalid_grant and invalid_client


@dataclass(frozen=True)
class Request:
    """One request: `method` names it in counts and in messages."""

    method: str
    verb: str
    path: str
    """Below the client's address; or an address of its own, with a scheme."""
    params: JsonView | None = None
    body: JsonView | None = None
    form: Mapping[str, str] | None = None
    content: bytes | None = None
    content_type: str | None = None
    longest: int = LONGEST_ANSWER
    """Bytes of the longest answer that is read."""


@dataclass(frozen=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]
    """By name, without regard to case."""
    content: bytes

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True)
class Limit:
    """A vendor's limit that an answer says is used up."""

    pause: timedelta | None
    """None where the vendor names none."""
    of_the_day: bool = False


def too_many_requests(answer: Answer, now: datetime, ignored: "Counter[str]") -> Limit | None:
    """Return the limit that a 429 is about."""
    if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    return Limit(pause_of(answer.headers, now, ignored))


LimitOf = Callable[[Answer, datetime, "Counter[str]"], Limit | None]
"""(answer, now, headers that say nothing, by name) -> the limit that is used up, if any."""
Meaning = Callable[[Request, int, Any], SourceError]
"""(request, status, parsed body or None) -> what a 4xx answer means."""


def parse_json(content: bytes) -> Any:
    """Parse JSON. Raises ValueError for what is none, and for what is nested too deeply to be parsed.

    What the strict parser refuses and vendors send is taken: lone surrogates, broken UTF-8, NaN, Infinity (null).
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return json.loads(content.decode("utf-8", "replace"), parse_constant=lambda _name: None)
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None


class JsonApi:
    """One account's requests to one vendor. Raises only SourceError; counts every request in `login.calls`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        login: Login,
        *,
        vendor: str,
        base_url: str,
        meaning: Meaning,
        headers: Mapping[str, str] = {},
        auth: httpx.Auth | None = None,
        limiter: Callable[[Request], RateLimiter] | None = None,
        limit_of: LimitOf = too_many_requests,
        seen: Callable[[Request, Mapping[str, str]], None] = lambda _request, _headers: None,
        hints: Mapping[int, str] = {},
    ) -> None:
        """`limiter`: what counts a request and is held by its 429, or by what else `limit_of` says is one.

        `seen`: gets the headers of every answer.
        `hints`: what else a vendor is known to mean by a 5xx status, as a sentence.
        """
        self.base_url = base_url.rstrip("/")
        self.session = Session(login.tokens, self._put)
        self.vendor_clock = VendorClock()
        self._http = http
        self._login = login
        self._vendor = vendor
        self._headers = dict(headers)
        self._auth = auth
        self._meaning = meaning
        unlimited = RateLimiter(None, login.clock, vendor=vendor)
        self._limiter = limiter or (lambda _request: unlimited)
        self._limit_of = limit_of
        self._seen = seen
        self._hints = hints

    def _put(self, pair: TokenPair) -> None:
        self._headers["authorization"] = f"Bearer {pair.access_token}"

    async def call(self, request: Request, *, tries: int = TRIES, cost: int = 1) -> Json:
        """Ask, again after passing faults; the answer is a JSON object."""
        return await retried(partial(self._authorised, request, cost), self._login.clock, tries=tries)

    async def _authorised(self, request: Request, cost: int) -> Json:
        return await self.session.send(partial(self.ask, request, cost=cost))

    async def ask(self, request: Request, *, cost: int = 1) -> Json:
        """Ask once."""
        return self._understood(request, await self.answer(request, cost=cost))

    async def answer(self, request: Request, *, cost: int = 1) -> Answer:
        """Send once and return the answer of a status below 500 that is about no limit, whatever it means.

        Raises Transient for the others, where nothing answers, and AnswerTooLarge.
        """
        limiter = self._limiter(request)
        async with limiter.slot(cost), self._login.in_flight.one():
            answer = await self._send(request)
        self.vendor_clock.note(answer.headers, self._login.clock.now())
        self._seen(request, answer.headers)
        limit = self._limit_of(answer, self._login.clock.now(), self._login.ignored)
        if limit is not None:
            limiter.hold(limit.pause)
            kind = QuotaSpent if limit.of_the_day else Transient
            raise kind(
                f"{self._vendor} asks us to slow down on {request.method} ({answer.status}).",
                retry_after=limit.pause,
            )
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            hint = self._hints.get(answer.status)
            sentences = [f"{self._vendor} answered {request.method} with HTTP {answer.status}.", hint]
            raise Transient(" ".join(filter(None, sentences)))
        return answer

    async def _send(self, request: Request) -> Answer:
        self._login.calls[request.method] += 1
        own = {} if request.content_type is None else {"content-type": request.content_type}
        try:
            async with self._http.stream(
                request.verb,
                self._address(request),
                params=request.params,
                json=request.body,
                data=request.form,
                content=request.content,
                headers=self._headers | own,
                auth=self._auth,
            ) as response:
                content = await self._read(request, response)
                return Answer(response.status_code, response.headers, content)
        except (httpx.HTTPError, httpx.InvalidURL, Undecodable) as error:
            raise Transient(
                f"{self._vendor} did not answer {request.method}: {unanswered(error, self._address(request))}."
            ) from None  # its text may hold the address with its parameters

    def _address(self, request: Request) -> str:
        return request.path if "://" in request.path else self.base_url + request.path

    async def _read(self, request: Request, response: httpx.Response) -> bytes:
        content = bytearray()
        unpack = unpacking(response.headers.get("content-encoding", ""))
        async for piece in response.aiter_raw():
            content += unpack(piece, request.longest + 1 - len(content))
            if len(content) > request.longest:
                content.clear()  # the error's traceback would keep it
                raise too_large(self._vendor, request.method, request.longest)
        return bytes(content)

    def _understood(self, request: Request, answer: Answer) -> Json:
        try:
            body = parse_json(answer.content)
        except ValueError:
            body = None
        if answer.status == HTTPStatus.OK and isinstance(body, dict):
            return body
        if answer.status == HTTPStatus.OK:
            raise Transient(f"{self._vendor}'s answer to {request.method} is not a JSON object.")
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise UnexpectedResponse(f"{self._vendor} answered {request.method} with HTTP {answer.status}.")
        raise self._meaning(request, answer.status, body)


def too_large(vendor: str, method: str, longest: int = LONGEST_ANSWER) -> AnswerTooLarge:
    """Make the error for an answer that was not read to its end."""
    return AnswerTooLarge(f"{vendor}'s answer to {method} is longer than {longest // 2**20} MiB.")


@asynccontextmanager
async def http_client() -> AsyncGenerator[httpx.AsyncClient]:
    """Open connections that follow no redirect: a credential goes to the address that was checked, only."""
    async with httpx.AsyncClient(
        timeout=TIMEOUT, follow_redirects=False, verify=_trusted(), headers={"accept-encoding": ENCODINGS}
    ) as http:
        yield http


@cache
def _trusted() -> ssl.SSLContext:
    """Read the certificate authorities once: it takes longer than a request."""
    return httpx.create_ssl_context()


async def next_pair(
    login: Login, form: Mapping[str, str], *, url: str, vendor: str, auth: httpx.Auth | None = None
) -> TokenPair:
    """Trade a single-use refresh token at a token endpoint, as OAuth 2 has it (RFC 6749, section 6).

    Raises CredentialRejected where the vendor does not take the token.
    """

    def meaning(_request: Request, status: int, _body: object) -> SourceError:
        if status in REFRESH_REFUSED:
            return CredentialRejected(
                f"{vendor} refused the refresh token (HTTP {status}): it was used elsewhere, revoked, or is not "
                "of this app. Authorise the app, and connect with the refresh token that this gives."
            )
        setting = f"{login.options.prefix}_TOKEN_URL"
        return UnexpectedResponse(f"{vendor}'s token endpoint answered HTTP {status}; check {setting}.")

    async with http_client() as http:
        api = JsonApi(http, login, vendor=vendor, base_url=url, meaning=meaning, auth=auth)
        answer = await api.ask(Request("oauth.token", "POST", "", form={"grant_type": "refresh_token", **form}))
    try:
        expires_in = answer.get("expires_in")
        lifetime = None if expires_in is None else timedelta(seconds=int(expires_in))
        return TokenPair(
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token") or form["refresh_token"],  # not every server replaces it
            expires_at=None if lifetime is None else login.clock.now() + lifetime,
            base_url=answer.get("api_base_url_for_customer"),  # Gong's
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UnexpectedResponse(f"{vendor}'s answer to oauth.token holds no pair of tokens.") from None
