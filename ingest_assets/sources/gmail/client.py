"""The Gmail API: verbs over plain data.

Three addresses have to be told one by one: `api_endpoint` moves neither the batch endpoint nor the token's.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import quote, urlsplit

import httplib2
import orjson
from googleapiclient.discovery import Resource, build
from googleapiclient.errors import Error as GoogleError
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from ingest_assets.errors import (
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.retry import FIRST_PAUSE, PATIENCE, TRIES, retried
from ingest_assets.sources.gmail.batch import Answer, packed, unpacked
from ingest_assets.sources.gmail.errors import BATCH, meaning
from ingest_assets.sources.gmail.login import NO_CONNECTION, TIMEOUT, exchange
from ingest_assets.sources.gmail.quota import UnitBudget
from ingest_assets.sources.login import Login, TokenPair

PAGE = 500  # the most that threads.list and history.list give
HTTP_REDIRECTION = 300
IN_FLIGHT = 3  # requests at once for one mailbox; Gmail refuses many
PLACE = "THREAD-ID"  # in the one address that the library writes: a thousand take it longer than parsing threads
HISTORY = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"]

logging.getLogger("googleapiclient").setLevel(logging.CRITICAL)  # it would log addresses with what they ask

Json = dict[str, Any]


@cache
def _service(api_url: str) -> Resource:
    """Build the service once: reading Google's description of it takes longer than a request."""
    return build(
        "gmail",
        "v1",
        http=httplib2.Http(),  # replaced in every call; without one the library looks for a login of its own
        client_options={"api_endpoint": api_url},
        static_discovery=True,
        cache_discovery=False,
    )


class _Http(httplib2.Http):  # type: ignore[misc]  # httplib2 has no types
    """A connection that sends a token and follows no redirect."""

    def __init__(self) -> None:
        super().__init__(timeout=TIMEOUT)
        self.follow_redirects = False
        self.token = ""

    def request(self, uri: str, *args: Any, headers: Any = None, **kwargs: Any) -> Any:
        given = {**(headers or {}), "authorization": f"Bearer {self.token}"}
        return super().request(uri, *args, headers=given, **kwargs)


class GmailClient:
    """One mailbox. Raises only SourceError; counts every HTTP request in `login.calls`."""

    def __init__(self, login: Login, pair: TokenPair | None) -> None:
        options = login.options
        self._login = login
        self._pair = pair
        self._users = _service(options.api_url).users()
        self._batch_url = options.batch_address
        self._batch_size = options.batch_size
        self._budget = UnitBudget(options.units_per_minute, options.costs, login.clock) if options.pacing else None
        self._idle: SimpleQueue[_Http] = SimpleQueue()
        self._closed = False
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, login: Login) -> "AsyncGenerator[GmailClient]":
        """Connect with a login's newest access token."""
        client = cls(login, None)
        try:
            client._pair = await client._fresh(None)
            yield client
        finally:
            client._closed = True
            client._close_idle()

    async def profile(self) -> Json:
        return await self._call("profile", self._users.getProfile(userId="me"))

    async def labels(self) -> dict[str, str]:
        """Give the names of the mailbox's labels by id."""
        answer = await self._call("labels.list", self._users.labels().list(userId="me"))
        labels = [label for label in _list(answer, "labels") if isinstance(label, dict) and "id" in label]
        return {str(label["id"]): str(label.get("name")) for label in labels}

    async def threads_list(self, query: str, label: str | None, *, page: int = PAGE) -> AsyncGenerator[list[Any]]:
        """Give what a search finds, newest first."""
        arguments: Json = {"q": query, "maxResults": page} | ({"labelIds": [label]} if label else {})
        async for answer in self._pages("threads.list", self._users.threads().list, arguments):
            yield _list(answer, "threads")

    async def history(self, since: str) -> AsyncGenerator[Json]:
        """Give the pages of what changed. Raises CursorExpired where Gmail does not know that far back."""
        arguments = {"startHistoryId": since, "historyTypes": HISTORY, "maxResults": PAGE}
        async for answer in self._pages("history.list", self._users.history().list, arguments):
            yield answer | {"history": _list(answer, "history")}

    async def threads(self, ids: Sequence[str]) -> AsyncGenerator[dict[str, Json | None]]:
        """Give threads with their messages, a batch at a time; None for one that is gone."""
        template = _path(self._users.threads().get(userId="me", id=PLACE, format="full"))
        paths = {thread_id: template.replace(PLACE, quote(thread_id, safe="")) for thread_id in ids}
        async for answers in self._batches("threads.get", paths):
            yield answers

    async def contents(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Give base64url contents by (message, attachmentId); what is gone is absent."""
        verb = self._users.messages().attachments().get
        paths = {
            f"{message_id} {attachment_id}": _path(verb(userId="me", messageId=message_id, id=attachment_id))
            for message_id, attachment_id in wanted
        }
        found: dict[tuple[str, str], str] = {}
        async for answers in self._batches("attachments.get", paths):
            for key, answer in answers.items():
                message_id, _, attachment_id = key.partition(" ")
                if isinstance(answer, dict) and isinstance(answer.get("data"), str):
                    found[message_id, attachment_id] = answer["data"]
        return found

    async def _pages(self, method: str, verb: Any, arguments: Json) -> AsyncGenerator[Json]:
        """Follow nextPageToken; a page without items is no end."""
        token: str | None = None
        seen: set[str] = set()
        while True:
            request = verb(userId="me", **arguments, **({} if token is None else {"pageToken": token}))
            try:
                answer = await self._call(method, request)
            except UnexpectedResponse as error:
                if token is None:
                    raise
                raise CursorExpired(f"Gmail no longer knows the page token of {method}.") from error
            yield answer
            token = answer.get("nextPageToken") or None
            if token is None:
                return
            if token in seen:
                raise UnexpectedResponse(f"Gmail repeats a page token of {method}; reading on would never end.")
            seen.add(token)

    async def _batches(self, method: str, paths: Mapping[str, str]) -> AsyncGenerator[dict[str, Json | None]]:
        """GET paths in batches, a few in flight, and give the answers by their keys, batch by batch."""
        ids = list(paths)
        size = self._batch_size if self._budget is None else min(self._batch_size, self._budget.affordable(method))
        chunks = deque(ids[start : start + size] for start in range(0, len(ids), size))
        flying: deque[asyncio.Task[dict[str, Json | None]]] = deque()
        try:
            while chunks or flying:
                while chunks and len(flying) < IN_FLIGHT:
                    chunk = chunks.popleft()
                    part = {key: paths[key] for key in chunk}
                    flying.append(asyncio.create_task(self._batch_patiently(method, part)))
                yield await flying.popleft()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    async def _batch_patiently(self, method: str, paths: dict[str, str]) -> dict[str, Json | None]:
        """Send a batch; ask again, alone and in smaller batches, for inner requests that were put off."""
        found: dict[str, Json | None] = {}
        waiting = list(paths)
        waited = timedelta(0)
        for tries in count(1):
            put_off: list[str] = []
            delay: Transient | None = None
            size = max(1, len(paths) >> (tries - 1))
            for start in range(0, len(waiting), size):
                part = waiting[start : start + size]
                if self._budget is not None:
                    await self._budget.spend(method, len(part))
                send = partial(self._send_batch, method, {key: paths[key] for key in part})
                answers = await self._authorised(send, BATCH)
                for key, answer in answers.items():
                    if isinstance(answer, Transient):
                        put_off.append(key)
                        delay = answer
                    else:
                        found[key] = answer
            if delay is None:
                return found
            pause = max(delay.retry_after or timedelta(0), FIRST_PAUSE * 4**tries)
            if tries == TRIES or waited + pause > PATIENCE:
                raise delay
            await self._login.clock.sleep(pause.total_seconds())
            waited += pause
            waiting = put_off
        raise AssertionError("count() does not end")

    def _send_batch(self, method: str, paths: dict[str, str], http: _Http) -> dict[str, Json | Transient | None]:
        content_type, body = packed(paths.values())
        self._login.calls[BATCH] += 1
        response, content = http.request(
            self._batch_url, method="POST", body=body, headers={"content-type": content_type}
        )
        if response.status >= HTTP_REDIRECTION:
            raise HttpError(response, content)
        found = unpacked(list(paths), response.get("content-type", ""), content)
        if missing := paths.keys() - found.keys():
            raise Transient(f"Gmail's batch answer lacks {len(missing)} of {len(paths)} parts.")
        return {key: _inner(method, answer) for key, answer in found.items()}

    async def _call(self, method: str, request: HttpRequest) -> Json:
        request.postproc = _parsed

        def send(http: _Http) -> Any:
            self._login.calls[method] += 1
            return request.execute(http=http, num_retries=0)

        if self._budget is not None:
            await self._budget.spend(method)
        answer = await self._authorised(send, method)
        if not isinstance(answer, dict):
            raise Transient(f"Gmail's answer to {method} is not a JSON object.")
        return answer

    async def _authorised(self, send: Any, method: str) -> Any:
        """Send patiently; a refused access token is replaced once."""
        return await retried(partial(self._once_more, send, method), self._login.clock)

    async def _once_more(self, send: Any, method: str) -> Any:
        pair = self._pair
        try:
            return await asyncio.to_thread(self._send, send, method)
        except TokenRefused:
            async with self._turn:
                if pair is self._pair:  # else another request has brought a new one meanwhile
                    self._pair = await self._fresh(pair)
        return await asyncio.to_thread(self._send, send, method)

    async def _fresh(self, refused: TokenPair | None) -> TokenPair:
        tokens = self._login.tokens
        if tokens is None:
            return await exchange(self._login, "")
        return await (tokens.current() if refused is None else tokens.after(refused))

    def _send(self, send: Any, method: str) -> Any:
        """Borrow a connection for one request; httplib2's may not be shared."""
        http = _Http() if self._idle.empty() else self._idle.get()
        http.token = "" if self._pair is None else self._pair.access_token
        try:
            answer = send(http)
        except SourceError:
            self._give_back(http)  # the answer was read to its end
            raise
        except (GoogleError, ValueError, *NO_CONNECTION) as error:
            http.close()
            raise _meaning(method, error) from None  # its text may hold the answer
        self._give_back(http)
        return answer

    def _give_back(self, http: _Http) -> None:
        self._idle.put(http)
        if self._closed:  # a request that was under way when the reader left
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()


def _path(request: HttpRequest) -> str:
    """Give what a request asks for, without the host."""
    url = urlsplit(request.uri)
    return f"{url.path}?{url.query}"


def _inner(method: str, answer: Answer) -> Json | Transient | None:
    """Read the answer to one call of a batch: None if the item is gone, Transient if it was put off."""
    if answer.status < HTTP_REDIRECTION:
        document: Json | None = _json(answer.content)
        return {} if document is None else document  # null does not say that the item is gone
    error = meaning(method, answer.status, answer.headers, answer.content)
    if isinstance(error, PartUnreadable):
        return None
    if isinstance(error, Transient):
        return error
    raise error


def _meaning(method: str, error: Exception) -> SourceError:
    if isinstance(error, HttpError):
        return meaning(method, int(error.resp.status), error.resp, error.content)
    return Transient(f"Gmail did not answer {method} ({type(error).__name__}).")


def _parsed(response: Any, content: bytes) -> Any:
    if response.status >= HTTP_REDIRECTION:
        raise HttpError(response, content)
    return _json(content)


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # a lone surrogate is one; the standard parser lets it through
        return json.loads(content)


def _list(answer: Json, key: str) -> list[Any]:
    items = answer.get(key, [])  # an empty list is left out
    if not isinstance(items, list):
        raise UnexpectedResponse(f"Gmail's answer has no list of {key}.")
    return items
