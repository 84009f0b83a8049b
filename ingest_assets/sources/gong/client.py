"""The Gong API: verbs over plain data."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.http import JsonApi, Request, http_client, next_pair
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.gong.connect import GongCredential, GongOptions
from ingest_assets.sources.gong.hosts import checked
from ingest_assets.sources.json_values import mappings_in, text_of
from ingest_assets.sources.login import Login, TokenPair
from ingest_assets.sources.times import whole_seconds

IDS_A_REQUEST = 100
RANGE = ("fromDateTime", "toDateTime")
PER_SECOND = 3
SECOND = 1.01  # a hundredth more than the vendor's, for clocks that differ
DAY_SPENT_PAUSE = timedelta(hours=1)  # at least, so that more than one request is free again

CONTENT = {
    "context": "Extended",
    "contextTiming": ["Now", "TimeOfCall"],
    "exposedFields": {
        "parties": True,
        "content": {
            "structure": True,
            "topics": True,
            "trackers": True,
            "trackerOccurrences": True,
            "pointsOfInterest": True,
            "brief": True,
            "outline": True,
            "highlights": True,
            "callOutcome": True,
            "keyPoints": True,
        },
        "interaction": {"speakers": True, "video": True, "personInteractionStats": True, "questions": True},
        "collaboration": {"publicComments": True},
        "media": False,
    },
}
"""All but metaData is off unless asked for."""

SCOPES = {
    "calls.extensive": "api:calls:read:extensive",
    "calls.transcript": "api:calls:read:transcript",
    "calls.list": "api:calls:read:basic",
    "calls.get": "api:calls:read:basic",
    "users.list": "api:users:read",
    "workspaces.list": "api:workspaces:read",
}
ONLY_NAMES = frozenset({"users.list", "workspaces.list"})
"""What brings names, without which calls can be read all the same."""
NOTHING_FOUND = re.compile(r"no [^\"]*found[^\"]*(filters|period)", re.IGNORECASE)
"""The only thing that tells an empty range from a wrong address: both are HTTP 404."""
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
CURSOR_DIED = (400, 404, 410)  # in answer to a request with a page cursor; Gong documents no status for it

Json = dict[str, Any]


class _NothingFound(SourceError):
    """Gong's way of saying that a range is empty."""


@dataclass(frozen=True)
class CallsPage:
    """Calls of a range, and how many the whole range has, as far as Gong knows yet."""

    calls: list[Any]
    total: int


class GongClient:
    """One account's calls. Raises only SourceError."""

    def __init__(self, api: JsonApi) -> None:
        self.base_url = api.base_url
        self._api = api

    @classmethod
    @asynccontextmanager
    async def open(
        cls, login: Login, *, affordable_at: Callable[[float], datetime | None] = lambda _daily_calls: None
    ) -> "AsyncGenerator[GongClient]":
        """Connect; `affordable_at` tells when a number of requests a day allows the next one."""
        options: GongOptions = login.options
        credential: GongCredential = login.credential
        pair = None if login.tokens is None else await login.tokens.current()
        own = login.settings.base_url if pair is None or pair.base_url is None else pair.base_url
        base_url = checked(own or options.api_url, options.hosts)
        async with http_client() as http:
            api = JsonApi(
                http,
                login,
                vendor="Gong",
                base_url=base_url,
                auth=None if pair is not None else _basic(credential),
                meaning=_meaning(str(urlsplit(base_url).netloc)),
                limiter=_limiter(login, affordable_at),
            )
            if pair is not None:
                api.session.use(pair)
            yield cls(api)

    async def calls(self, since: datetime, until: datetime) -> AsyncGenerator[CallsPage]:
        """Give the calls of a range in Gong's order, whichever that is; 100 a page."""
        chosen = dict(zip(RANGE, whole_seconds(since, until), strict=True))
        async for answer in self._post_pages("calls.extensive", chosen, contentSelector=CONTENT):
            total = (answer.get("records") or {}).get("totalRecords")
            yield CallsPage(_items(answer, "calls"), total if isinstance(total, int) else 0)

    async def calls_by_id(self, ids: Sequence[str]) -> list[Any]:
        """Give those of up to 100 calls that Gong shows."""
        answers = self._post_pages("calls.extensive", {"callIds": list(ids)}, contentSelector=CONTENT)
        return [call async for answer in answers for call in _items(answer, "calls")]

    async def transcripts(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        """Give the monologues of those of up to 100 calls that have any."""
        answers = self._post_pages("calls.transcript", {"callIds": list(ids)})
        return {
            call_id: item["transcript"]
            async for answer in answers
            for item in mappings_in(_items(answer, "callTranscripts"))
            if (call_id := text_of(item.get("callId"))) and item.get("transcript")
        }

    async def refusals(self, since: datetime, until: datetime) -> dict[str, SourceError]:
        """Try every way to read calls, and the list of users, once; give what was refused, by method.

        Raises the first refusal if all are. Only together do they tell a bad login from a missing scope: where
        calls are concerned, Gong answers 401 to both.
        """
        dates = dict(zip(RANGE, whole_seconds(since, until), strict=True))
        requests = [
            _post("calls.extensive", {"filter": dates}),
            _post("calls.transcript", {"filter": dates}),
            Request("calls.list", "GET", "/v2/calls", params=dates),
            Request("users.list", "GET", "/v2/users"),
        ]
        refused: dict[str, SourceError] = {}
        for request in requests:
            try:
                await self._api.call(request)
            except (CredentialRejected, PartUnreadable) as error:
                refused[request.method] = error
            except _NothingFound:
                continue
        if len(refused) == len(requests):
            raise refused[requests[0].method]
        return refused

    async def exists(self, call_id: str) -> bool:
        try:
            await self._api.call(Request("calls.get", "GET", f"/v2/calls/{call_id}"))
        except PartUnreadable:
            return False
        return True

    async def users(self) -> AsyncGenerator[list[Any]]:
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            params: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            try:
                answer = await self._api.call(Request("users.list", "GET", "/v2/users", params=params))
            except _NothingFound:
                return
            yield _items(answer, "users")
            if (cursor := _next(answer, seen, "users.list")) is None:
                return

    async def workspaces(self) -> AsyncGenerator[list[Any]]:
        """Give them all at once: Gong does not page them."""
        try:
            answer = await self._api.call(Request("workspaces.list", "GET", "/v2/workspaces"))
        except _NothingFound:
            return
        yield _items(answer, "workspaces")

    async def _post_pages(self, method: str, chosen: Json, **more: Any) -> AsyncGenerator[Json]:
        """Follow the cursor, which goes at the top level of the body beside the same filter as before."""
        cursor = None
        seen: set[str] = set()
        while True:
            body = {"filter": chosen, **more} | ({} if cursor is None else {"cursor": cursor})
            try:
                answer = await self._api.call(_post(method, body))
            except _NothingFound:
                return
            yield answer
            if (cursor := _next(answer, seen, method)) is None:
                return


def _basic(credential: GongCredential) -> httpx.Auth:
    if credential.access_key is None or credential.access_key_secret is None:
        raise CredentialRejected("This Gong account has no access key; connect it again.")
    return httpx.BasicAuth(
        credential.access_key.get_secret_value(), credential.access_key_secret.get_secret_value()
    )


def _post(method: str, body: Json) -> Request:
    return Request(method, "POST", f"/v2/{method.replace('.', '/')}", body=body)


async def exchange(login: Login, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair."""
    app = login.credential
    basic = httpx.BasicAuth(app.client_id, app.client_secret.get_secret_value())
    return await next_pair(login, {"refresh_token": refresh_token}, vendor="Gong", auth=basic)


def _meaning(host: str) -> Callable[[Request, int, Any], SourceError]:
    """What a 4xx of this host means, by status; an empty range is a 404 too."""

    def meaning(request: Request, status: int, body: Any) -> SourceError:
        method = request.method
        if status == UNAUTHORIZED:
            return TokenRefused(
                f"Gong at {host} refused the login for {method} (HTTP 401): the key is wrong or revoked, belongs "
                f"to a customer of another host, or may not {SCOPES[method]}. A technical administrator finds "
                "host and keys at app.gong.io/company/api."
            )
        if status == FORBIDDEN and method in ONLY_NAMES:
            lacking = f"lacks the scope {SCOPES[method]}"
            return PartUnreadable(
                f"Gong at {host} refused {method} (HTTP 403): the login {lacking}.", code=lacking
            )
        if status == FORBIDDEN:
            return CredentialRejected(
                f"Gong at {host} refused {method} (HTTP 403): the login lacks the scope {SCOPES[method]}; "
                "grant it and connect again."
            )
        if status in CURSOR_DIED and "cursor" in {**(request.body or {}), **(request.params or {})}:
            return CursorExpired(f"Gong no longer knows the page cursor of {method}.")
        errors = body.get("errors") if isinstance(body, dict) else None
        if status == NOT_FOUND and isinstance(errors, list):
            if method == "calls.get":
                return PartUnreadable("Gong knows the call no more.", code="not_found")
            if any(isinstance(text, str) and NOTHING_FOUND.search(text) for text in errors):
                return _NothingFound("Nothing in this range.")
        if status == NOT_FOUND:
            return UnexpectedResponse(f"Gong at {host} knows no {method} (HTTP 404); check the base URL.")
        return UnexpectedResponse(f"Gong at {host} answered {method} with HTTP {status}; please report this.")

    return meaning


def _limiter(login: Login, affordable_at: Callable[[float], datetime | None]) -> Callable[[Request], RateLimiter]:
    """Three starts a second, and none once the day's requests are gone."""
    limiter = RateLimiter(PER_SECOND if login.options.pacing else None, login.clock, SECOND, vendor="Gong")
    granted = login.options.calls_per_day

    def limiter_of(_request: Request) -> RateLimiter:
        if until := affordable_at(granted):
            raise Transient(
                f"Gong's {granted} requests of the last 24 hours are spent; waiting for some to be free again.",
                retry_after=max(until - login.clock.now(), DAY_SPENT_PAUSE),
            )
        return limiter

    return limiter_of


def _items(answer: Json, key: str) -> list[Any]:
    items = answer.get(key)
    if not isinstance(items, list):
        raise UnexpectedResponse(f"Gong's answer has no list of {key}.")
    return items


def _next(answer: Json, seen: set[str], method: str) -> str | None:
    cursor: str | None = (answer.get("records") or {}).get("cursor") or None
    if cursor is not None and cursor in seen:
        raise UnexpectedResponse(f"Gong repeats a page cursor of {method}; reading on would never end.")
    if cursor is not None:
        seen.add(cursor)
    return cursor
