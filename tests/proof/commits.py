"""Something is done at the n-th commit or request of this process, from outside of the product."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx
import psycopg
from psycopg.pq import TransactionStatus

TOKEN_ENDPOINTS = ("token", "oauth.v2.access")
Connection = psycopg.Connection[Any]


class Commits:
    """Counts commits, but for those of nothing."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    def next(self, connection: Connection) -> int:
        """Return the number of a commit; 0 for one of nothing."""
        if connection.info.transaction_status is TransactionStatus.IDLE:
            return 0
        with self._lock:
            self.number += 1
            return self.number


@contextmanager
def counted_commits(at: int, act: Callable[[], object], *, before: bool = False) -> Iterator[Commits]:
    """Count the block's commits, and act once before or after one of them, in the thread that makes it."""
    commits, commit = Commits(), psycopg.Connection.commit

    def counted(connection: Connection) -> None:
        now = commits.next(connection) == at > 0
        if now and before:
            act()
        commit(connection)
        if now and not before:
            act()

    psycopg.Connection.commit = counted  # type: ignore[method-assign, assignment]  # of the library, in the block
    try:
        yield commits
    finally:
        psycopg.Connection.commit = commit  # type: ignore[method-assign]


@contextmanager
def counted_requests(at: int, act: Callable[[], object]) -> Iterator[None]:
    """Act once before the block's n-th request to a vendor: nothing of ours goes on meanwhile.

    Requests for tokens do not count: others wait for their answer, by a row lock.
    """
    done: list[object] = []
    number, send, ask = 0, httpx.AsyncClient.send, aiohttp.ClientSession._request

    def count(url: object) -> None:
        nonlocal number
        number += not str(url).endswith(TOKEN_ENDPOINTS)
        if number == at and not done:
            done.append(url)
            act()

    async def sent(client: httpx.AsyncClient, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        count(request.url)
        return await send(client, request, **kwargs)

    async def requested(
        session: aiohttp.ClientSession, method: str, url: object, **kwargs: Any
    ) -> aiohttp.ClientResponse:
        count(url)
        return await ask(session, method, url, **kwargs)  # type: ignore[arg-type]

    httpx.AsyncClient.send = sent  # type: ignore[method-assign, assignment]  # of the library, in the block
    aiohttp.ClientSession._request = requested  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        httpx.AsyncClient.send = send  # type: ignore[method-assign]
        aiohttp.ClientSession._request = ask  # type: ignore[method-assign]
