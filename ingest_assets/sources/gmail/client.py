"""The Gmail API: verbs over plain data.

Google's library writes the addresses from its description of the API; nothing is sent by it. Three addresses have
to be told one by one: `api_endpoint` moves neither the batch endpoint nor the token's.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any
from urllib.parse import quote, urlsplit

from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import Resource, build

from ingest_assets.errors import CursorExpired, DoubtfulRejection, SourceError, UnexpectedResponse
from ingest_assets.sources.client.http import JsonApi, Request, http_client
from ingest_assets.sources.client.paging import listed, pages
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import TRIES, growing
from ingest_assets.sources.gmail.batch import BatchEndpoint, Calls
from ingest_assets.sources.gmail.connect import GmailLogin
from ingest_assets.sources.gmail.errors import GONE, limit_of, meaning
from ingest_assets.sources.gmail.login import Exchanged
from ingest_assets.sources.gmail.methods import ATTACHMENT, HISTORY, LABELS, METHODS, PROFILE, THREAD, THREADS
from ingest_assets.sources.json_values import Json, JsonView

__all__ = ["METHODS", "GmailClient"]

PAGE = 500  # the most that threads.list and history.list give
PLACE = "THREAD-ID"  # in the one address that the library writes: a thousand take it longer than parsing threads
KINDS = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"]
NEXT_PAGE = ("nextPageToken",)

Body = tuple[str, str]
"""(message, attachmentId)"""


@cache
def _service(api_url: str) -> Resource:
    """Build the service once: reading Google's description of it takes longer than a request."""
    return build(
        "gmail",
        "v1",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # else it looks for a login of its own
        client_options={"api_endpoint": api_url},
        static_discovery=True,
        cache_discovery=False,
    )


class GmailClient:
    """One mailbox. Raises only SourceError; counts every HTTP request in `login.calls`."""

    def __init__(self, api: JsonApi, login: GmailLogin, limiter: RateLimiter) -> None:
        self._api = api
        self._login = login
        self._costs: dict[str, int] = login.options.costs
        self._users = _service(login.options.api_url).users()
        profile = _path(self._users.getProfile(userId="me").uri)
        self._batch = BatchEndpoint(api, login, limiter, costs=self._costs, profile=profile)

    @classmethod
    @asynccontextmanager
    async def open(cls, login: GmailLogin) -> "AsyncGenerator[GmailClient]":
        """Connect with a login's newest access token."""
        options = login.options
        limiter = RateLimiter(options.units_per_minute if options.pacing else None, login.clock, vendor="Gmail")
        async with http_client() as http:
            api = JsonApi(
                http,
                replace(login, tokens=login.tokens or Exchanged(login)),
                vendor="Gmail",
                base_url=options.api_url,
                meaning=lambda request, status, body: meaning(request.method, status, body),
                limiter=lambda _request: limiter,
                limit_of=limit_of,
            )
            await api.session.begin()
            yield cls(api, login, limiter)

    async def profile(self) -> Json:
        return await self._call(PROFILE, self._users.getProfile(userId="me").uri)

    async def labels(self) -> dict[str, str]:
        """Return the names of the mailbox's labels by id."""
        answer = await self._call(LABELS, self._users.labels().list(userId="me").uri)
        labels = [label for label in _list(answer, "labels", LABELS) if isinstance(label, dict) and "id" in label]
        if not labels:
            raise UnexpectedResponse("Gmail names no labels, which every mailbox has.")
        return {str(label["id"]): str(label.get("name")) for label in labels}

    async def threads_list(self, query: str, label: str | None, *, page: int = PAGE) -> AsyncGenerator[list[Any]]:
        """Yield what a search finds, newest first."""
        arguments: Json = {"q": query, "maxResults": page} | ({"labelIds": [label]} if label else {})
        async for answer in self._pages(THREADS, self._users.threads().list, arguments):
            yield _list(answer, "threads", THREADS)

    async def history(self, since: str) -> AsyncGenerator[Json]:
        """Yield the pages of what changed. Raises CursorExpired where Gmail does not know that far back."""
        arguments = {"startHistoryId": since, "historyTypes": KINDS, "maxResults": PAGE}
        async for answer in self._pages(HISTORY, self._users.history().list, arguments):
            yield answer | {"history": _list(answer, "history", HISTORY)}

    async def threads(
        self, ids: Sequence[str], tries: Callable[[str], int] = lambda _id: TRIES
    ) -> AsyncGenerator[dict[str, Json | SourceError | None]]:
        """Yield threads with their messages, a batch at a time; None for one that is gone.

        An error for one that could not be read; these come last. `tries`: how often one may be asked for.
        """
        template = _path(self._users.threads().get(userId="me", id=PLACE, format="full").uri)
        paths = {thread_id: template.replace(PLACE, quote(thread_id, safe="")) for thread_id in ids}
        async with aclosing(self._batch.answers(Calls(THREAD, paths, _thread), tries)) as batches:
            async for answers in batches:
                yield {key: None if _gone(answer) else answer for key, answer in answers.items()}

    async def contents(
        self, wanted: Sequence[Body], tries: Callable[[Body], int] = lambda _body: TRIES
    ) -> dict[Body, str | SourceError]:
        """Return base64url contents; an error for one that could not be read."""
        verb = self._users.messages().attachments().get
        bodies = {str(number): body for number, body in enumerate(wanted)}
        paths = {
            key: _path(verb(userId="me", messageId=message_id, id=attachment_id).uri)
            for key, (message_id, attachment_id) in bodies.items()
        }
        found: dict[Body, str | SourceError] = {}
        calls = Calls(ATTACHMENT, paths, _content)
        async with aclosing(self._batch.answers(calls, lambda key: tries(bodies[key]))) as batches:
            async for answers in batches:
                found |= {bodies[key]: answer for key, answer in answers.items()}
        return found

    def _pages(self, method: str, verb: Any, arguments: Json) -> AsyncGenerator[Json]:
        """Follow nextPageToken; a page without items is no end."""

        async def ask(token: str | None) -> Json:
            given = arguments if token is None else {**arguments, "pageToken": token}
            try:
                return await self._call(method, verb(userId="me", **given).uri)
            except UnexpectedResponse as error:
                if token is None:
                    raise
                raise CursorExpired(f"Gmail no longer knows the page token of {method}.") from error

        return pages(ask, NEXT_PAGE, f"Gmail's {method}")

    async def _call(self, method: str, address: str) -> Json:
        """GET an address; once more after a refusal, since Gmail is known to refuse for a moment."""
        call = partial(self._api.call, Request(method, "GET", address), cost=self._costs[method])
        try:
            return await call()
        except DoubtfulRejection:
            await self._login.clock.sleep(growing(1).total_seconds())
            return await call()


def _path(address: str) -> str:
    """Return what an address asks for, without the host."""
    url = urlsplit(address)
    return f"{url.path}?{url.query}"


def _thread(thread_id: str, body: object) -> Json:
    """Return the answer of threads.get, if it is about the thread that was asked for."""
    if not isinstance(body, dict) or body.get("id") != thread_id:
        raise ValueError
    return body


def _content(_key: str, body: object) -> str:
    """Return what an answer of attachments.get holds; an empty file has no `data`."""
    data = body.get("data", "" if body.get("size") == 0 else None) if isinstance(body, dict) else None
    if not isinstance(data, str):
        raise ValueError
    return data


def _gone(answer: object) -> bool:
    return isinstance(answer, SourceError) and answer.code == GONE


def _list(answer: JsonView, key: str, method: str) -> list[Any]:
    return listed({key: [], **answer}, key, f"Gmail's {method}")  # an empty list is left out
