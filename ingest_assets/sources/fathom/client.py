"""The Fathom API: verbs over plain data. Their own library refuses a whole page for one unknown value."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    UnexpectedResponse,
)
from ingest_assets.sources.client.headers import Quota
from ingest_assets.sources.client.http import JsonApi, Request, http_client, next_pair
from ingest_assets.sources.client.method import Level, Method
from ingest_assets.sources.client.paging import listed, next_cursor, numbered_pages
from ingest_assets.sources.client.rate_limit import MINUTE, RateLimiter
from ingest_assets.sources.fathom.connect import FathomLogin
from ingest_assets.sources.json_values import Json, mapping_of, mappings_in, text_of
from ingest_assets.sources.login import TokenPair, app_of
from ingest_assets.sources.times import whole_seconds

PER_MINUTE, HEAVY_PER_MINUTE = 60, 30
RANGE = ("created_after", "created_before")
INLINE = {"include_transcript": "true", "include_summary": "true"}
ALWAYS = {"include_action_items": "true", "include_crm_matches": "true"}
METHODS: Mapping[str, Method] = {
    "meetings.list": Method(level=Level.ACCOUNT),  # heavy, too, where it brings transcripts or summaries
    "recordings.transcript": Method(level=Level.PART),
    "recordings.summary": Method(level=Level.PART),
    "oauth.token": Method(level=Level.ACCOUNT),
}
"""All together 60 requests a minute, 30 of them heavy: those for recordings."""
REFUSED, GONE = "forbidden", "not_found"  # why a recording is unavailable
HINTS = {503: "Fathom is said to answer 503 to an inactive key too: check the key."}
CURSOR = ("next_cursor",)
CURSOR_DIED = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
"""In answer to a request with a page cursor; Fathom documents no status for it."""


class FathomClient:
    """One account's calls. Raises only SourceError."""

    def __init__(self, api: JsonApi, *, inline: bool) -> None:
        self.inline = inline
        """Whether lists bring transcripts and summaries."""
        self.vendor_clock = api.vendor_clock
        self._api = api

    @classmethod
    @asynccontextmanager
    async def open(cls, login: FathomLogin) -> "AsyncGenerator[FathomClient]":
        """Connect with a login's key, or with the newest token of its rotation."""
        limits = _Limits(login)
        key = login.credential.api_key
        async with http_client() as http:
            api = JsonApi(
                http,
                login,
                vendor="Fathom",
                base_url=login.options.api_url,
                headers={} if key is None else {"X-Api-Key": key.get_secret_value()},
                meaning=_meaning,
                limiter=limits.limiter,
                seen=limits.seen,
                hints=HINTS,
            )
            yield cls(api, inline=await api.session.begin() is None)

    async def meetings(self, since: datetime, until: datetime) -> AsyncGenerator[list[Any]]:
        """Yield the meetings created in a range, in Fathom's order, whichever that is; some of them twice."""
        chosen = dict(zip(RANGE, whole_seconds(since, until), strict=True))
        includes = ALWAYS | INLINE if self.inline else ALWAYS

        async def look(cursor: str | None) -> Json:
            return await self._list(chosen, cursor)

        async def ask(cursor: str | None) -> Json:
            return await self._list(chosen | includes, cursor)

        async for answer in numbered_pages(ask, look, _ids, CURSOR, "Fathom's meetings.list"):
            yield _items(answer)

    async def _list(self, params: Mapping[str, str], cursor: str | None) -> Json:
        params = params if cursor is None else {**params, "cursor": cursor}
        return await self._api.call(Request("meetings.list", "GET", "/meetings", params=params))

    async def newest(self, since: datetime, until: datetime) -> tuple[list[Any], bool]:
        """Return the first page of a range, without transcripts, and whether there is more."""
        chosen = dict(zip(RANGE, whole_seconds(since, until), strict=True))
        answer = await self._list(chosen, None)
        return _items(answer), next_cursor(answer, CURSOR, "Fathom's meetings.list") is not None

    async def sees_any(self, since: datetime, until: datetime) -> bool:
        """Tell whether the login is shown any meeting of a range."""
        async with aclosing(self.meetings(since, until)) as pages:
            async for meetings in pages:
                return bool(meetings)
        return False

    async def transcript(self, recording_id: str, tries: int) -> list[Any] | None:
        """Return a recording's transcript, None if there is none yet. Raises SourceError where it is not told."""
        found = await self._part("transcript", recording_id, list, tries)
        return found or None

    async def summary(self, recording_id: str, tries: int) -> Json | None:
        """Return a recording's summary, None if there is none yet. Raises SourceError where that is not told."""
        found: Json | None = await self._part("summary", recording_id, dict, tries)
        return found

    async def _part(self, name: str, recording_id: str, shape: type, tries: int) -> Any:
        request = Request(f"recordings.{name}", "GET", f"/recordings/{quote(recording_id, safe='')}/{name}")
        answer = await self._api.call(request, tries=tries)
        found = answer.get(name)
        if not isinstance(found, shape) and not (found is None and (name in answer or not answer)):
            raise UnexpectedResponse(f"Fathom's answer to {request.method} has no {name} of a known shape.")
        return found


def _items(answer: Json) -> list[Any]:
    return listed(answer, "items", "Fathom's meetings.list")


def _ids(answer: Json) -> set[str]:
    return {found for item in mappings_in(_items(answer)) if (found := text_of(item.get("recording_id")))}


class _Heavy(RateLimiter):
    """The limit of heavy requests, which count in the limit of all requests, too."""

    def __init__(self, limit: float | None, login: FathomLogin, everything: RateLimiter) -> None:
        super().__init__(limit, login.clock, vendor="Fathom")
        self._everything = everything

    @asynccontextmanager
    async def slot(self, cost: int = 1) -> AsyncGenerator[None]:
        async with super().slot(cost), self._everything.slot(cost):
            yield


class _Limits:
    """Two limits a minute, narrowed to what the answers' headers say."""

    def __init__(self, login: FathomLogin) -> None:
        self._login = login
        self._pacing: bool = login.options.pacing
        granted, heavy = (PER_MINUTE, HEAVY_PER_MINUTE) if self._pacing else (None, None)
        self._all = RateLimiter(granted, login.clock, vendor="Fathom")
        self._heavy = _Heavy(heavy, login, self._all)

    def limiter(self, request: Request) -> RateLimiter:
        """Return what counts a request."""
        return self._heavy if self._is_heavy(request) else self._all

    def seen(self, request: Request, headers: Mapping[str, str]) -> None:
        """Take in what an answer tells of the limit; a minute's limit is free again within a minute."""
        quota = Quota.of(headers, self._login.clock.now(), self._login.ignored)
        if not self._pacing:
            return
        limiter = self.limiter(request)
        if quota.limit:
            limiter.limit = min(quota.limit, HEAVY_PER_MINUTE if self._is_heavy(request) else PER_MINUTE)
        if quota.remaining == 0 and quota.reset is not None:
            limiter.hold(min(quota.reset, timedelta(seconds=MINUTE)))

    @staticmethod
    def _is_heavy(request: Request) -> bool:
        return METHODS[request.method].level is Level.PART or "include_transcript" in mapping_of(request.params)


async def exchange(login: FathomLogin, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair."""
    client_id, client_secret = app_of(login.credential.client_id, login.credential.client_secret)
    form = {"refresh_token": refresh_token, "client_id": client_id, "client_secret": client_secret}
    return await next_pair(login, form, url=login.options.token_url, vendor="Fathom")


def _meaning(request: Request, status: int, _body: object) -> SourceError:
    """Return what a 4xx means, by its status alone: Fathom documents no error bodies."""
    method, code = request.method, f"http_{status}"
    if status == HTTPStatus.UNAUTHORIZED:
        return TokenRefused(
            f"Fathom refused the login for {method} (HTTP 401): the API key or token is wrong, inactive or "
            "revoked. Connect the account with one that works: `ingest-assets connect fathom`.",
            code=code,
        )
    if METHODS[method].level is Level.PART:
        return _of_recording(method, status, code)
    if status == HTTPStatus.FORBIDDEN:
        return CredentialRejected(
            f"Fathom refused {method} (HTTP 403): the login's user or scopes do not allow it. Use the key of a "
            "user who may see the sessions, or an app with the scope public_api.",
            code=code,
        )
    if status in CURSOR_DIED and "cursor" in mapping_of(request.params):
        return CursorExpired(f"Fathom no longer knows the page cursor of {method}.")
    return UnexpectedResponse(f"Fathom answered {method} with HTTP {status}; check FATHOM_API_URL.", code=code)


def _of_recording(method: str, status: int, code: str) -> PartUnreadable:
    if status == HTTPStatus.FORBIDDEN:
        sentence = "Fathom lists this recording, and does not let this login read it: ask whose it is to share it."
        return PartUnreadable(sentence, code=REFUSED)
    if status == HTTPStatus.NOT_FOUND:
        return PartUnreadable("Fathom shows this recording no more, or not to this login.", code=GONE)
    return PartUnreadable(f"Fathom answered {method} with HTTP {status}; the next syncs ask again.", code=code)
