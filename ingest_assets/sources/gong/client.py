"""The Gong API: verbs over plain data."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from ingest_assets.errors import CredentialRejected, PartUnreadable, QuotaSpent, SourceError
from ingest_assets.sources.client.http import JsonApi, Request, http_client, next_pair
from ingest_assets.sources.client.paging import listed, pages
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.gong.connect import GongCredential, GongLogin, GongOptions
from ingest_assets.sources.gong.errors import NoSuchCall, NothingFound, meaning_at
from ingest_assets.sources.gong.hosts import checked
from ingest_assets.sources.gong.methods import METHODS as METHODS
from ingest_assets.sources.gong.methods import ONLY_NAMES
from ingest_assets.sources.json_values import Json, mapping_of, mappings_in, text_of, whole_of
from ingest_assets.sources.login import TokenPair, app_of
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

PATHS = {
    "calls.extensive": "/v2/calls/extensive",
    "calls.by_id": "/v2/calls/extensive",
    "calls.transcript": "/v2/calls/transcript",
}
CURSOR = ("records", "cursor")


@dataclass(frozen=True)
class CallsPage:
    """Calls of a range, and how many the whole range has, as far as Gong knows yet."""

    calls: list[Any]
    total: int


class GongClient:
    """One account's calls. Raises only SourceError."""

    def __init__(self, api: JsonApi) -> None:
        self.base_url = api.base_url
        self.vendor_clock = api.vendor_clock
        self._api = api

    @classmethod
    @asynccontextmanager
    async def open(
        cls, login: GongLogin, *, affordable_at: Callable[[float], datetime | None] = lambda _daily_calls: None
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
                meaning=meaning_at(str(urlsplit(base_url).netloc)),
                limiter=_limiter(login, affordable_at),
            )
            if pair is not None:
                api.session.use(pair)
            yield cls(api)

    async def calls(self, since: datetime, until: datetime) -> AsyncGenerator[CallsPage]:
        """Yield the calls of a range in Gong's order, whichever that is; 100 a page."""
        chosen = dict(zip(RANGE, whole_seconds(since, until), strict=True))
        async for answer in self._post_pages("calls.extensive", chosen, "calls", contentSelector=CONTENT):
            total = whole_of(mapping_of(answer.get("records")).get("totalRecords"))
            yield CallsPage(_items(answer, "calls"), total or 0)

    async def listable(self, since: datetime, until: datetime) -> None:
        """Ask what tells whether the login works: a range's calls, the first page. Raises what Gong answers."""
        async for _page in self.calls(since, until):
            return

    async def calls_by_id(self, ids: Sequence[str], tries: int) -> list[Any]:
        """Return those of up to 100 calls that Gong shows. Raises SourceError, for all because of one."""
        chosen = {"callIds": list(ids)}
        answers = self._post_pages("calls.by_id", chosen, "calls", tries=tries, contentSelector=CONTENT)
        return [call async for answer in answers for call in _items(answer, "calls")]

    async def transcripts(self, ids: Sequence[str], tries: int) -> Json:
        """Return the monologues of those of up to 100 calls that have any. Raises SourceError as above."""
        answers = self._post_pages("calls.transcript", {"callIds": list(ids)}, "callTranscripts", tries=tries)
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
                if isinstance(error, PartUnreadable) and request.method not in ONLY_NAMES:
                    raise
                refused[request.method] = error
            except NothingFound:
                continue
        if len(refused) == len(requests):
            raise refused[requests[0].method]
        return refused

    async def exists(self, call_id: str, *, tries: int) -> bool:
        """Tell whether Gong still knows a call. Raises SourceError where the answer does not tell."""
        request = Request("calls.get", "GET", f"/v2/calls/{quote(call_id, safe='')}")
        try:
            answer = await self._api.call(request, tries=tries)
        except NoSuchCall:
            return False
        if not mapping_of(answer.get("call")):
            raise PartUnreadable("Gong's answer about one call holds no call.", code="no_call")
        return True

    async def users(self, *, tries: int) -> AsyncGenerator[list[Any]]:
        """Yield the company's users, page by page."""

        async def ask(cursor: str | None) -> Json:
            params = {} if cursor is None else {"cursor": cursor}
            return await self._or_none(Request("users.list", "GET", "/v2/users", params=params), "users", tries)

        async for answer in pages(ask, CURSOR, "Gong's users.list"):
            yield _items(answer, "users")

    async def workspaces(self, *, tries: int) -> AsyncGenerator[list[Any]]:
        """Yield them all at once: Gong does not page them."""
        request = Request("workspaces.list", "GET", "/v2/workspaces")
        yield _items(await self._or_none(request, "workspaces", tries), "workspaces")

    async def _post_pages(
        self, method: str, chosen: Json, key: str, *, tries: int = TRIES, **more: Any
    ) -> AsyncGenerator[Json]:
        """Follow the cursor, which goes at the top level of the body beside the same filter as before."""

        async def ask(cursor: str | None) -> Json:
            body = {"filter": chosen, **more} | ({} if cursor is None else {"cursor": cursor})
            return await self._or_none(_post(method, body), key, tries)

        async for answer in pages(ask, CURSOR, f"Gong's {method}"):
            yield answer

    async def _or_none(self, request: Request, key: str, tries: int) -> Json:
        """Ask for a list, which is empty where Gong says that it found nothing."""
        try:
            return await self._api.call(request, tries=tries)
        except NothingFound:
            return {key: []}


def _basic(credential: GongCredential) -> httpx.Auth:
    if credential.access_key is None or credential.access_key_secret is None:
        raise CredentialRejected("This Gong account has no access key; connect it again.")
    return httpx.BasicAuth(
        credential.access_key.get_secret_value(), credential.access_key_secret.get_secret_value()
    )


def _post(method: str, body: Json) -> Request:
    return Request(method, "POST", PATHS[method], body=body)


async def exchange(login: GongLogin, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair."""
    basic = httpx.BasicAuth(*app_of(login.credential.client_id, login.credential.client_secret))
    form = {"refresh_token": refresh_token}
    return await next_pair(login, form, url=login.options.token_url, vendor="Gong", auth=basic)


def _limiter(
    login: GongLogin, affordable_at: Callable[[float], datetime | None]
) -> Callable[[Request], RateLimiter]:
    """Three starts a second, and none once the day's requests are gone."""
    limiter = RateLimiter(PER_SECOND if login.options.pacing else None, login.clock, SECOND, vendor="Gong")
    granted = login.options.calls_per_day

    def limiter_of(_request: Request) -> RateLimiter:
        if until := affordable_at(granted):
            raise QuotaSpent(
                f"Gong's {granted} requests of the last 24 hours are spent; waiting for some to be free again.",
                retry_after=max(until - login.clock.now(), DAY_SPENT_PAUSE),
            )
        return limiter

    return limiter_of


def _items(answer: Json, key: str) -> list[Any]:
    return listed(answer, key, "Gong's answer")
