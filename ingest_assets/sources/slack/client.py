"""The Slack Web API: verbs over plain data, the only importer of slack_sdk.

The SDK's asynchronous client gets one aiohttp session: without it every request opens a connection.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from logging import CRITICAL, Logger
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from ingest_assets.errors import (
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.headers import pause_of
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import retried
from ingest_assets.sources.login import Login, TokenPair
from ingest_assets.sources.slack.errors import ACTION, MEANING

TIER_2, TIER_3, TIER_4 = 20, 50, 100  # requests a minute, a method, a workspace, an app (docs: rate limits)
TIERS = {
    "conversations.list": TIER_2,
    "users.list": TIER_2,
    "users.conversations": TIER_3,
    "conversations.history": TIER_3,
    "conversations.replies": TIER_3,
    "conversations.join": TIER_3,
    "users.info": TIER_4,
    "auth.test": TIER_4,
}
LIMITED = {"conversations.history": 1, "conversations.replies": 1}
"""Commercial apps outside the Marketplace, since 2025-05-29: one request a minute, 15 objects."""
LIMITED_OBJECTS = 15
LIMITED_PAUSE, FEW = timedelta(seconds=30), TIER_3 // 2  # what gives such an app away, see `_gives_itself_away`

PAGE = 999  # the most that conversations.* accept
USERS_PAGE = 500  # users.list answers limit_required or 500 to what it finds too much
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)
CODE = re.compile(r"[a-z0-9_]{1,60}")

HTTP_OK, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 200, 429, 500

_silent = Logger("slack_sdk", CRITICAL)  # at DEBUG the SDK would log whole answers


class _Response(aiohttp.ClientResponse):
    """Parse JSON with orjson: the standard parser costs more than the rest of a page."""

    async def json(self, **_kwargs: Any) -> Any:
        if self.content_type != "application/json":
            return await super().json()  # which refuses it in the way that the SDK expects
        try:
            return orjson.loads(await self.read())
        except orjson.JSONDecodeError:  # a lone surrogate is one; the standard parser lets it through
            return await super().json()


class SlackClient:
    """One account's calls. Raises only SourceError; counts every request in `calls`."""

    def __init__(self, web: AsyncWebClient, login: Login, *, in_flight: int, paced: bool, limited: bool) -> None:
        self.limited = limited
        self.may_become_limited = False
        self.granted: frozenset[str] = frozenset()
        self._web = web
        self._tokens = login.tokens
        self._pair: TokenPair | None = None
        self._clock = clock = login.clock
        self._calls = login.calls
        self._ignored = login.ignored
        self._in_flight = asyncio.Semaphore(in_flight)
        self._paced = paced
        self._limiters = {
            method: RateLimiter(tier if paced else None, clock, vendor="Slack") for method, tier in TIERS.items()
        }
        self._capped: set[str] = set()
        self._slowed: dict[str, tuple[datetime, int]] = {}
        """When a method was last told to wait for long, and how many requests it had had."""
        if limited:
            self._become_limited()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, login: Login, *, in_flight: int, paced: bool, limited: bool
    ) -> "AsyncGenerator[SlackClient]":
        """Connect with a login's token, or with the newest one of its rotation."""
        token: SecretStr | None = login.credential.token
        async with _session(in_flight) as session:
            web = _web(session, login.options.api_url, None if token is None else token.get_secret_value())
            client = cls(web, login, in_flight=in_flight, paced=paced, limited=limited)
            if login.tokens is not None:
                client._use(await login.tokens.current())
            yield client

    def _use(self, pair: TokenPair) -> None:
        self._pair = pair
        self._web.token = pair.access_token

    async def identity(self) -> dict[str, Any]:
        return await self._call("auth.test")

    async def join(self, channel: str) -> None:
        await self._call("conversations.join", channel=channel)

    async def user(self, user: str) -> dict[str, Any]:
        answer: dict[str, Any] = (await self._call("users.info", user=user))["user"]
        return answer

    def users(self) -> AsyncGenerator[list[Any]]:
        return self._pages("users.list", "members", limit=USERS_PAGE)

    def joined_channels(self, types: str) -> AsyncGenerator[list[Any]]:
        return self._pages("users.conversations", "channels", limit=PAGE, types=types)

    def visible_channels(self, types: str) -> AsyncGenerator[list[Any]]:
        return self._pages("conversations.list", "channels", limit=PAGE, types=types)

    def history(self, channel: str, *, oldest: str, latest: str) -> AsyncGenerator[list[Any]]:
        """Pages of one fixed range, both ends included, in whichever order Slack gives them."""
        return self._pages(
            "conversations.history",
            "messages",
            limit=PAGE,
            channel=channel,
            oldest=oldest,
            latest=latest,
            inclusive=1,
        )

    def replies(self, channel: str, thread_ts: str, *, after: str | None = None) -> AsyncGenerator[list[Any]]:
        """Pages of a thread, or of its replies after a ts; the parent may stand on each of them."""
        return self._pages(
            "conversations.replies", "messages", limit=PAGE, channel=channel, ts=thread_ts, oldest=after
        )

    async def _pages(self, method: str, key: str, *, limit: int, **params: Any) -> AsyncGenerator[list[Any]]:
        """Follow `next_cursor` to its end; a page without items is no end."""
        seen = {""}
        cursor = None
        while True:
            asked = LIMITED_OBJECTS if self.limited and method in LIMITED else limit
            answer = await self._call(method, limit=asked, cursor=cursor, **params)
            items = answer.get(key)
            if not isinstance(items, list):
                raise UnexpectedResponse(f"Slack's answer to {method} has no list of {key}.")
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if cursor and len(items) == LIMITED_OBJECTS < asked:
                self._capped.add(method)
            if not cursor and answer.get("has_more"):
                raise UnexpectedResponse(f"Slack's answer to {method} says there is more and gives no cursor.")
            if cursor in seen and cursor:
                raise UnexpectedResponse(f"Slack repeats a page cursor of {method}; reading on would never end.")
            seen.add(cursor)
            yield items
            if not cursor:
                return

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        return await retried(partial(self._try, method, given), self._clock)

    async def _try(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        pair = self._pair
        try:
            return await self._ask(method, params)
        except TokenRefused:
            if self._tokens is None or pair is None:
                raise
            if pair is self._pair:  # else another request has brought a new one meanwhile
                self._use(await self._tokens.after(pair))
        return await self._ask(method, params)

    async def _ask(self, method: str, params: dict[str, Any], *, in_body: bool = False) -> dict[str, Any]:
        limiter = self._limiters.get(method)
        async with self._in_flight, nullcontext() if limiter is None else limiter.slot():
            self._calls[method] += 1
            try:
                if in_body:
                    response = await self._web.api_call(method, data=params)
                else:
                    response = await self._web.api_call(method, http_verb="GET", params=params)
            except SlackApiError as error:
                raise self._meaning(method, error) from None  # its text holds the answer
            except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Transient(f"Slack did not answer {method} ({type(error).__name__}).") from None
        if scopes := response.headers.get("x-oauth-scopes"):
            self.granted = frozenset(scope.strip() for scope in scopes.split(","))
        if not isinstance(response.data, dict):
            raise Transient(f"Slack's answer to {method} is not JSON.")
        return response.data

    def _meaning(self, method: str, error: SlackApiError) -> SourceError:
        response = error.response  # Slack's answer, or aiohttp's where the body was not JSON
        status: Any = getattr(response, "status_code", None) or getattr(response, "status", HTTP_OK)
        data: Any = getattr(response, "data", None)
        code = data.get("error") if isinstance(data, dict) else None
        if status == HTTP_TOO_MANY or code == "ratelimited":
            headers = getattr(response, "headers", {})
            pause = pause_of(headers, self._clock.now(), self._ignored)
            if method in self._limiters:
                self._limiters[method].hold(pause)
            if self.may_become_limited and self._gives_itself_away(method, pause):
                self._become_limited()
            return Transient(f"Slack asks us to slow down on {method} (429).", retry_after=pause)
        if status >= HTTP_SERVER_ERROR:
            return Transient(f"Slack answered {method} with HTTP {status}.")
        if not isinstance(code, str) or not CODE.fullmatch(code):
            if status == HTTP_OK:
                return Transient(f"Slack's answer to {method} is not Slack's JSON.")
            return UnexpectedResponse(f"Slack answered {method} with HTTP {status}; check SLACK_API_URL.")
        meaning = MEANING.get(code, UnexpectedResponse)
        if meaning is PartUnreadable:
            return PartUnreadable(f"Slack refused {method}: {code}.", code=code)
        needed = f" (needed: {data.get('needed')})" if code == "missing_scope" else ""
        return meaning(f"Slack refused {method}: {code}{needed}. {ACTION.get(meaning, '')}".rstrip())

    def _gives_itself_away(self, method: str, pause: timedelta | None) -> bool:
        """Whether a 429 shows an app that is held to 1 request a minute: after a page of 15, or after such a pause
        and few requests since. Others are never slowed down so soon again."""
        if pause is None or pause < LIMITED_PAUSE or method not in LIMITED:
            return False
        now, calls = self._clock.now(), self._calls[method]
        since, before = self._slowed.get(method, (now, calls))
        if method not in self._slowed or now - since >= LIMITED_PAUSE:
            self._slowed[method] = (now, calls)
        return method in self._capped or (now - since >= LIMITED_PAUSE and calls - before <= FEW)

    def _become_limited(self) -> None:
        self.limited = True
        if self._paced:
            self._limiters |= {method: RateLimiter(limit, self._clock) for method, limit in LIMITED.items()}


async def exchange(login: Login, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair (oauth.v2.access)."""
    method = "oauth.v2.access"
    given = {
        "client_id": login.credential.client_id,
        "client_secret": login.credential.client_secret.get_secret_value(),
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
    }
    async with _session(1) as session:
        client = SlackClient(
            _web(session, login.options.api_url, None), login, in_flight=1, paced=False, limited=False
        )
        answer = await client._ask(method, given, in_body=True)  # a URL may end in a log
    try:
        lifetime = timedelta(seconds=int(answer["expires_in"]))
        return TokenPair(
            access_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=login.clock.now() + lifetime,
        )
    except (KeyError, TypeError, ValueError):
        raise UnexpectedResponse(f"Slack's answer to {method} holds no pair of tokens.") from None


def _session(in_flight: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=TIMEOUT, response_class=_Response, connector=aiohttp.TCPConnector(limit=in_flight)
    )


def _web(session: aiohttp.ClientSession, base_url: str, token: str | None) -> AsyncWebClient:
    return AsyncWebClient(token, base_url=base_url, session=session, retry_handlers=[], logger=_silent)
