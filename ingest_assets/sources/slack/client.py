"""The Slack Web API: verbs over plain data. `web` holds the SDK's client, `methods` what is called how often."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from ingest_assets.errors import AnswerTooLarge, SourceError, Transient, UnexpectedResponse
from ingest_assets.sources.client.clock import VendorClock
from ingest_assets.sources.client.headers import pause_of
from ingest_assets.sources.client.paging import listed, pages
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import TRIES, retried
from ingest_assets.sources.client.session import Session
from ingest_assets.sources.client.unanswered import unanswered
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.login import Login, TokenPair, app_of
from ingest_assets.sources.slack.connect import SlackLogin, SlackOptions
from ingest_assets.sources.slack.errors import meaning
from ingest_assets.sources.slack.methods import (
    FEW,
    LIMITED,
    LIMITED_OBJECTS,
    LIMITED_PAUSE,
    METHODS,
    PAGE,
    SEARCH_PAGE,
    USERS_PAGE,
)
from ingest_assets.sources.slack.web import open_session, web_client

RATELIMITED = "ratelimited"
ACCESS = "oauth.v2.access"
CODE = re.compile(r"[a-z0-9_]{1,60}")
SCOPE = re.compile(r"[a-z:._, -]{1,200}")
NEXT_CURSOR = ("response_metadata", "next_cursor")
EMPTY_PAGES = 5  # that are followed where only the first messages are wanted


class SlackClient:
    """One account's calls. Raises only SourceError; counts every request in `calls`."""

    def __init__(
        self,
        web: AsyncWebClient,
        login: Login[Any, Any, SlackOptions],
        *,
        at_once: int,
        paced: bool,
        limited: bool,
    ) -> None:
        self.limited = limited
        self.may_become_limited = False
        self.granted: frozenset[str] = frozenset()
        self.vendor_clock = VendorClock()
        self._web = web
        self._session = Session(login.tokens, self._put)
        self._clock = clock = login.clock
        self._calls = login.calls
        self._ignored = login.ignored
        self._in_flight = login.in_flight
        # by method, as Slack counts: those that wait for one method hold up no other
        self._at_once = {method: asyncio.Semaphore(at_once) for method in METHODS}
        self._paced = paced
        self._limiters = {
            method: RateLimiter(row.per_minute if paced else None, clock, vendor="Slack")
            for method, row in METHODS.items()
        }
        self._capped: set[str] = set()
        self._slowed: dict[str, tuple[datetime, int]] = {}
        """When a method was last told to wait for long, and how many requests it had had."""
        if limited:
            self._become_limited()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        login: SlackLogin,
        *,
        at_once: int | None = None,
        paced: bool | None = None,
        limited: bool | None = None,
    ) -> "AsyncGenerator[SlackClient]":
        """Connect with a login's token, or with the newest one of its rotation. None is what the login chose."""
        token: SecretStr | None = login.credential.token
        at_once = login.options.concurrency if at_once is None else at_once
        paced = login.options.pacing if paced is None else paced
        limited = login.settings.app_class == "limited" if limited is None else limited
        async with open_session(at_once) as session:
            web = web_client(session, login.options.api_url, None if token is None else token.get_secret_value())
            client = cls(web, login, at_once=at_once, paced=paced, limited=limited)
            await client._session.begin()
            yield client

    def _put(self, pair: TokenPair) -> None:
        self._web.token = pair.access_token

    async def identity(self) -> Json:
        return await self._call("auth.test")

    async def join(self, channel: str, *, tries: int = TRIES) -> None:
        await self._call("conversations.join", tries=tries, channel=channel)

    async def user(self, user: str, *, tries: int = TRIES) -> Json:
        answer = (await self._call("users.info", tries=tries, user=user)).get("user")
        if not isinstance(answer, dict):
            raise UnexpectedResponse("Slack's answer to users.info holds no user.")
        return answer

    def users(self, *, tries: int = TRIES) -> AsyncGenerator[list[Any]]:
        return self._pages("users.list", "members", limit=USERS_PAGE, tries=tries)

    def joined_channels(self, types: str) -> AsyncGenerator[list[Any]]:
        return self._pages("users.conversations", "channels", limit=PAGE, types=types)

    def visible_channels(self, types: str) -> AsyncGenerator[list[Any]]:
        return self._pages("conversations.list", "channels", limit=PAGE, types=types)

    def history(self, channel: str, *, oldest: str, latest: str, tries: int = TRIES) -> AsyncGenerator[list[Any]]:
        """Pages of one fixed range, both ends included, in whichever order Slack gives them."""
        asked = {"channel": channel, "oldest": oldest, "latest": latest, "inclusive": 1}
        return self._pages("conversations.history", "messages", limit=PAGE, tries=tries, **asked)

    async def newest(self, channel: str, *, oldest: str, latest: str) -> tuple[list[Any], bool]:
        """Return the first messages of a range, and whether there are more; Slack may begin with empty pages."""
        method, limit = "conversations.history", LIMITED_OBJECTS if self.limited else PAGE
        asked: Json = {"channel": channel, "oldest": oldest, "latest": latest, "inclusive": 1, "limit": limit}
        for _ in range(EMPTY_PAGES):
            answer = await self._call(method, **asked)
            messages, more = listed(answer, "messages", f"Slack's answer to {method}"), _has_cursor(answer)
            if messages or not more:
                break
            asked["cursor"] = answer["response_metadata"]["next_cursor"]
        return messages, more

    def replies(
        self, channel: str, thread_ts: str, *, after: str | None = None, tries: int = TRIES
    ) -> AsyncGenerator[list[Any]]:
        """Pages of a thread, or of its replies after a ts; the parent may stand on each of them."""
        asked = {"channel": channel, "ts": thread_ts, "oldest": after}
        return self._pages("conversations.replies", "messages", limit=PAGE, tries=tries, **asked)

    async def search(self, query: str, page: int, *, tries: int) -> Json:
        """Return a numbered page of what a user's token finds, newest first."""
        asked = {"query": query, "page": page, "count": SEARCH_PAGE, "sort": "timestamp", "sort_dir": "desc"}
        return await self._call("search.messages", tries=tries, **asked)

    async def _pages(
        self, method: str, key: str, *, limit: int, tries: int = TRIES, **params: Any
    ) -> AsyncGenerator[list[Any]]:
        """Follow `next_cursor` to its end; a page without items is no end."""
        what = f"Slack's answer to {method}"
        most = limit

        async def ask(cursor: str | None) -> Json:
            nonlocal most
            while True:
                asked = min(most, LIMITED_OBJECTS) if self.limited and method in LIMITED else most
                try:
                    answer = await self._call(method, tries=tries, limit=asked, cursor=cursor, **params)
                except AnswerTooLarge:
                    if most == 1:
                        raise
                    most = max(1, most // 4)
                    continue
                self._note_cap(method, answer, asked)
                return answer

        async for answer in pages(ask, NEXT_CURSOR, what):
            items = listed(answer, key, what)
            yield items
            if answer.get("has_more") and not _has_cursor(answer):
                raise UnexpectedResponse(f"{what} says there is more and gives no cursor.")

    def _note_cap(self, method: str, answer: Json, asked: int) -> None:
        """Take note of a page that was cut to what the apps get which are held to few objects."""
        items = next((value for value in answer.values() if isinstance(value, list)), [])
        if _has_cursor(answer) and len(items) == LIMITED_OBJECTS < asked:
            self._capped.add(method)

    async def _call(self, method: str, *, tries: int = TRIES, **params: Any) -> Json:
        given = {name: value for name, value in params.items() if value is not None}
        send = partial(self._session.send, partial(self._ask, method, given))
        return await retried(send, self._clock, tries=tries)

    async def _ask(self, method: str, params: Json, *, app: tuple[str, str] | None = None) -> Json:
        async with self._at_once[method], self._limiters[method].slot(), self._in_flight.one():
            self._calls[method] += 1
            try:
                if app is not None:  # in the body: a URL may end in a log
                    basic = b64encode(":".join(app).encode()).decode()
                    sent = {"Authorization": f"Basic {basic}"}
                    response = await self._web.api_call(method, data=params, headers=sent)
                else:
                    response = await self._web.api_call(method, http_verb="GET", params=params)
            except SlackApiError as error:
                raise self._meaning(method, error.response) from None  # its text holds the answer
            except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = type(error).__name__
                told = f"Slack did not answer {method}: {unanswered(error, str(self._web.base_url))}."
                raise Transient(told, code=reason) from None
        self.vendor_clock.note(response.headers, self._clock.now())
        if scopes := response.headers.get("x-oauth-scopes"):
            self.granted = frozenset(scope.strip() for scope in scopes.split(","))
        return response.data if isinstance(response.data, dict) else {}

    def _meaning(self, method: str, response: Any) -> SourceError:
        status, data, headers = response.status_code, response.data, response.headers
        self.vendor_clock.note(headers, self._clock.now())
        code, needed = data.get("error"), data.get("needed")
        if status == HTTPStatus.TOO_MANY_REQUESTS or code == RATELIMITED:
            pause = pause_of(headers, self._clock.now(), self._ignored)
            self._limiters[method].hold(pause)
            if self.may_become_limited and self._gives_itself_away(method, pause):
                self._become_limited()
            told = f"Slack asks us to slow down on {method} (429)."
            return Transient(told, retry_after=pause, code=RATELIMITED)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Transient(f"Slack answered {method} with HTTP {status}.", code=f"HTTP {status}")
        if not isinstance(code, str) or not CODE.fullmatch(code):
            if status == HTTPStatus.OK:
                return Transient(f"Slack's answer to {method} is not Slack's JSON.", code="no_json")
            told = f"Slack answered {method} with HTTP {status}; check SLACK_API_URL."
            return UnexpectedResponse(told, code=f"HTTP {status}")
        scope = needed if isinstance(needed, str) and SCOPE.fullmatch(needed) else None
        return meaning(code, METHODS[method].level, method=method, needed=scope)

    def _gives_itself_away(self, method: str, pause: timedelta | None) -> bool:
        """Tell whether a 429 shows an app that is held to 1 request a minute.

        It does after a page of 15, or after such a pause and few requests since: others are never slowed down so
        soon again.
        """
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
            for method, limit in LIMITED.items():
                self._limiters[method].limit = limit


async def exchange(login: SlackLogin, refresh_token: str) -> TokenPair:
    """Trade a refresh token, which works once, for the next pair (oauth.v2.access)."""
    app = app_of(login.credential.client_id, login.credential.client_secret)
    answer = await access(login, app, {"grant_type": "refresh_token", "refresh_token": refresh_token})
    try:
        lifetime = timedelta(seconds=int(answer["expires_in"]))
        return TokenPair(
            access_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=login.clock.now() + lifetime,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UnexpectedResponse(f"Slack's answer to {ACCESS} holds no pair of tokens.") from None


async def access(login: Login[Any, Any, SlackOptions], app: tuple[str, str], form: Json) -> Json:
    """Ask for tokens as an app: its id and secret by HTTP Basic, as Slack advises."""
    async with open_session(1) as session:
        client = SlackClient(
            web_client(session, login.options.api_url, None), login, at_once=1, paced=False, limited=False
        )
        return await client._ask(ACCESS, form, app=app)


def _has_cursor(answer: Json) -> bool:
    metadata = answer.get("response_metadata")
    return isinstance(metadata, dict) and bool(metadata.get("next_cursor"))
