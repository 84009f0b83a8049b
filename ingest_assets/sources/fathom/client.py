"""The Fathom API: verbs over plain data. Their own library refuses a whole page for one unknown value."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

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
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.login import Login, TokenPair
from ingest_assets.sources.times import whole_seconds

PER_MINUTE, HEAVY_PER_MINUTE = 60, 30
RANGE = ("created_after", "created_before")
HEAVY = frozenset({"recordings.transcript", "recordings.summary"})
INLINE = {"include_transcript": "true", "include_summary": "true"}
ALWAYS = {"include_action_items": "true", "include_crm_matches": "true"}
REFUSED, GONE = "forbidden", "not_found"  # why a recording is unavailable
HINTS = {503: "Fathom is said to answer 503 to an inactive key too: check the key."}
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
CURSOR_DIED = (400, 404, 410)  # in answer to a request with a page cursor; Fathom documents no status for it

Json = dict[str, Any]


class FathomClient:
    """One account's calls. Raises only SourceError."""

    def __init__(self, api: JsonApi, *, inline: bool) -> None:
        self.inline = inline
        """Whether lists bring transcripts and summaries."""
        self._api = api

    @classmethod
    @asynccontextmanager
    async def open(cls, login: Login) -> "AsyncGenerator[FathomClient]":
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
        """Give the meetings created in a range, in Fathom's order, whichever that is."""
        chosen = dict(zip(RANGE, whole_seconds(since, until), strict=True)) | ALWAYS
        if self.inline:
            chosen |= INLINE
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            params = chosen if cursor is None else chosen | {"cursor": cursor}
            answer = await self._api.call(Request("meetings.list", "GET", "/meetings", params=params))
            items = answer.get("items")
            if not isinstance(items, list):
                raise UnexpectedResponse("Fathom's answer has no list of items.")
            yield items
            cursor = answer.get("next_cursor") or None
            if cursor is None:
                return
            if cursor in seen:
                raise UnexpectedResponse(
                    "Fathom repeats a page cursor of meetings.list; reading on would never end."
                )
            seen.add(cursor)

    async def sees_any(self, since: datetime, until: datetime) -> bool:
        """Tell whether the login is shown any meeting of a range."""
        async with aclosing(self.meetings(since, until)) as pages:
            async for meetings in pages:
                return bool(meetings)
        return False

    async def transcript(self, recording_id: str) -> list[Any] | None:
        """Give a recording's transcript. Raises PartUnreadable where it is unknown or not ours to see."""
        path = f"/recordings/{recording_id}/transcript"
        found = (await self._api.call(Request("recordings.transcript", "GET", path))).get("transcript")
        return found if isinstance(found, list) and found else None

    async def summary(self, recording_id: str) -> Json | None:
        """Give a recording's summary. Raises PartUnreadable where it is unknown or not ours to see."""
        path = f"/recordings/{recording_id}/summary"
        found = (await self._api.call(Request("recordings.summary", "GET", path))).get("summary")
        return found if isinstance(found, dict) else None


class _Limits:
    """Two limits a minute, narrowed to what the answers' headers say."""

    def __init__(self, login: Login) -> None:
        self._login = login
        granted = (PER_MINUTE, HEAVY_PER_MINUTE) if login.options.pacing else (None, None)
        self._all, self._heavy = (RateLimiter(limit, login.clock, vendor="Fathom") for limit in granted)

    def limiter(self, request: Request) -> RateLimiter:
        """Return the limiter of a request; a heavy one counts in both, and theirs is always the fuller one."""
        heavy = request.method in HEAVY or "include_transcript" in (request.params or {})
        return self._heavy if heavy else self._all

    def seen(self, request: Request, headers: Mapping[str, str]) -> None:
        """Take in what an answer tells of the limit."""
        limiter = self.limiter(request)
        quota = Quota.of(headers, self._login.clock.now(), self._login.ignored)
        if quota.limit:
            limiter.limit = min(quota.limit, limiter.limit)
        if quota.remaining == 0:
            limiter.hold(quota.reset)


async def exchange(login: Login, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair."""
    app = login.credential
    form = {
        "refresh_token": refresh_token,
        "client_id": app.client_id,
        "client_secret": app.client_secret.get_secret_value(),
    }
    return await next_pair(login, form, vendor="Fathom")


def _meaning(request: Request, status: int, _body: Any) -> SourceError:
    """What a 4xx means, by its status alone: Fathom documents no error bodies."""
    method = request.method
    if status == UNAUTHORIZED:
        return TokenRefused(
            f"Fathom refused the login for {method} (HTTP 401): the API key or token is wrong, inactive or "
            "revoked. Connect the account again with `ingest-assets connect fathom`."
        )
    if status == FORBIDDEN and method in HEAVY:
        return PartUnreadable("Fathom lists this recording, and does not let this login read it.", code=REFUSED)
    if status == FORBIDDEN:
        return CredentialRejected(
            f"Fathom refused {method} (HTTP 403): the login's user or scopes do not allow it. Use the key of a "
            "user who may see the sessions, or an app with the scope public_api."
        )
    if status == NOT_FOUND and method in HEAVY:
        return PartUnreadable("Fathom shows this recording no more.", code=GONE)
    if status in CURSOR_DIED and "cursor" in (request.params or {}):
        return CursorExpired(f"Fathom no longer knows the page cursor of {method}.")
    return UnexpectedResponse(f"Fathom answered {method} with HTTP {status}; check FATHOM_API_URL.")
