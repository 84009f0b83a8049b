"""Google's batch endpoint: many calls in one request, each with an answer of its own.

kept        what was answered is given at once; what was not is asked again when all have been asked, in smaller
            batches, and what then still fails is given as its error
compared    an answer counts for the call whose Content-ID it has, and only if it is about the item asked for
halved      a batch that fails as a whole, down to the call that it fails for, while the endpoint answers others
quota       a refused call holds the mailbox's limiter: as long as Gmail says only where every call was refused
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

from ingest_assets.errors import AnswerTooLarge, SourceError, TokenRefused, Transient, UnexpectedResponse
from ingest_assets.sources.client.http import LONGEST_ANSWER, Answer, JsonApi, Request, parse_json
from ingest_assets.sources.client.rate_limit import RateLimiter
from ingest_assets.sources.client.retry import FIRST_PAUSE, PATIENCE, TRIES, retried
from ingest_assets.sources.gmail.connect import GmailLogin
from ingest_assets.sources.gmail.errors import GONE, SHORTEST_PAUSE, call_error, meaning, parsed
from ingest_assets.sources.gmail.methods import BATCH, PROFILE
from ingest_assets.sources.gmail.multipart import packed, unpacked

LONGEST_OF_MANY = 8 * 2**20  # bytes of a batch's answer; one call's may be as long as any answer
IN_FLIGHT = 3  # requests at once for one mailbox; Gmail refuses many
TRIES_OF_FAULTS, TRIES_OF_REFUSALS = (
    3,
    2,
)  # of one call in one sync: both are seen to pass; the next sync asks again

Item = TypeVar("Item")
Answers = dict[str, Item | SourceError]


@dataclass(frozen=True)
class Calls(Generic[Item]):
    """Calls of one method."""

    method: str
    paths: Mapping[str, str]
    """What to GET, by the keys of the calls."""
    read: Callable[[str, Any], Item]
    """(key, parsed body) -> the item; raises ValueError where the body is not what the call asked for."""


@dataclass
class _Chunk:
    """Calls that are sent in one request."""

    keys: Sequence[str]
    tries: int
    large: bool = False
    """Whether the answer may take much memory: then it is the only one that is waited for."""

    def halves(self) -> list["_Chunk"]:
        middle = len(self.keys) // 2
        return [_Chunk(keys, 1, self.large) for keys in (self.keys[:middle], self.keys[middle:])]


class BatchEndpoint:
    """Sends one mailbox's calls. Raises only what concerns the mailbox."""

    def __init__(
        self, api: JsonApi, login: GmailLogin, limiter: RateLimiter, *, costs: Mapping[str, int], profile: str
    ) -> None:
        """`profile`: the path of a call that the endpoint answers if it answers at all."""
        self._api = api
        self._login = login
        self._limiter = limiter
        self._costs = costs
        self._profile = Calls(PROFILE, {PROFILE: profile}, lambda _key, body: body)
        self._url: str = login.options.batch_address
        self._size: int = login.options.batch_size

    async def answers(
        self, calls: Calls[Item], tries: Callable[[str], int]
    ) -> AsyncGenerator[dict[str, Item | SourceError]]:
        """Yield the answers by their keys, a batch at a time; the error of a call that failed comes last.

        `tries`: how often a call may be made, by its key.
        """
        waiting, waited = list(calls.paths), timedelta(0)
        for attempt in count(1):
            failed: dict[str, SourceError] = {}
            async with aclosing(self._round(calls, waiting, attempt, tries)) as batches:
                async for answers in batches:
                    failed |= {key: one for key, one in answers.items() if isinstance(one, SourceError)}
                    if good := {key: one for key, one in answers.items() if key not in failed}:
                        yield good
            left = PATIENCE - waited
            again = {
                key: error
                for key, error in failed.items()
                if attempt < min(tries(key), _tries_of(error)) and _pause(error, attempt) <= left
            }
            if final := {key: error for key, error in failed.items() if key not in again}:
                yield dict(final)
            if not again:
                return
            pause = max(_pause(error, attempt) for error in again.values())
            await self._login.clock.sleep(pause.total_seconds())
            waiting, waited = list(again), waited + pause

    async def _round(
        self, calls: Calls[Item], keys: Sequence[str], attempt: int, tries: Callable[[str], int]
    ) -> AsyncGenerator[dict[str, Item | SourceError]]:
        """Send batches, a few at once, and yield their answers in order; each round has smaller ones."""
        affordable = self._limiter.affordable(self._costs[calls.method])
        size = max(1, min(self._size, affordable) >> (attempt - 1))
        # what failed before is kept from what did not, and comes last: it may spoil a batch again
        known = [key for key in keys if tries(key) == 1]
        others = [key for key in keys if tries(key) > 1]
        chunks = deque(
            _Chunk(some[start : start + size], max(map(tries, some)) if attempt == 1 else 1)
            for some in (others, known)
            for start in range(0, len(some), size)
        )
        flying: deque[tuple[_Chunk, asyncio.Task[dict[str, Item | SourceError] | None]]] = deque()
        try:
            while chunks or flying:
                while chunks and len(flying) < (1 if chunks[0].large else IN_FLIGHT):
                    chunk = chunks.popleft()
                    flying.append((chunk, asyncio.create_task(self._sent(calls, chunk))))
                chunk, task = flying.popleft()
                answers = await task
                if answers is None:
                    chunks.extendleft(reversed(chunk.halves()))
                else:
                    yield answers
        finally:
            for _chunk, task in flying:
                task.cancel()
            await asyncio.gather(*(task for _chunk, task in flying), return_exceptions=True)

    async def _sent(self, calls: Calls[Item], chunk: "_Chunk") -> dict[str, Item | SourceError] | None:
        """Send a batch; None where it fails as a whole and is to be halved, down to the call that it fails for."""
        try:
            send = partial(self._authorised, calls, chunk.keys)
            return await retried(send, self._login.clock, tries=chunk.tries)
        except (Transient, UnexpectedResponse) as error:
            if isinstance(error, Transient) and error.retry_after is not None:
                raise  # the quota
            chunk.large = isinstance(error, AnswerTooLarge)
            if not chunk.large or len(chunk.keys) == 1:
                await self._check(error)
            return {chunk.keys[0]: error} if len(chunk.keys) == 1 else None

    async def _check(self, error: SourceError) -> None:
        """Raise the error of a batch, unless the endpoint answers another one."""
        try:
            answers = await self._authorised(self._profile, [PROFILE])
        except (Transient, UnexpectedResponse):
            raise error from None
        if isinstance(answers[PROFILE], SourceError):
            raise error

    async def _authorised(self, calls: Calls[Item], keys: Sequence[str]) -> dict[str, Item | SourceError]:
        """Send a batch; calls for which the token is refused are made once more with another one."""
        answers: dict[str, Item | SourceError] = {}

        async def send() -> None:
            refused = [key for key, one in answers.items() if isinstance(one, TokenRefused)]
            answered: dict[str, Item | SourceError] = await self._once(calls, refused if answers else keys)
            answers.update(answered)
            for answer in answers.values():
                if isinstance(answer, TokenRefused):
                    raise answer

        try:
            await self._api.session.send(send)
        except TokenRefused:
            if not answers:
                raise
        return answers

    async def _once(self, calls: Calls[Item], keys: Sequence[str]) -> dict[str, Item | SourceError]:
        body = packed({key: calls.paths[key] for key in keys})
        request = Request(
            BATCH,
            "POST",
            self._url,
            content=body.content,
            content_type=body.content_type,
            longest=LONGEST_ANSWER if len(keys) == 1 else LONGEST_OF_MANY,
        )
        answer = await self._api.answer(request, cost=self._costs[calls.method] * len(keys))
        if not answer.ok:
            raise meaning(BATCH, answer.status, parsed(answer.content))
        found = unpacked(body.keys, answer.headers.get("content-type", ""), answer.content)
        if not found:
            raise Transient(f"Gmail's answer to {BATCH} holds none of {len(keys)} parts.", code="no answer")
        answers: dict[str, Item | SourceError] = {
            key: self._understood(calls.method, calls.read, key, found.pop(key, None)) for key in keys
        }
        self._hold(list(answers.values()))
        return answers

    def _understood(
        self, method: str, read: Callable[[str, Any], Item], key: str, answer: Answer | None
    ) -> Item | SourceError:
        if answer is None:
            return Transient(f"Gmail's answer to {BATCH} lacks a part.", code="no answer")
        if not answer.ok:
            return call_error(method, answer, self._login.clock.now(), self._login.ignored)
        try:
            return read(key, parse_json(answer.content))
        except ValueError:
            return Transient(f"Gmail's answer to {method} is not what was asked for.", code="wrong answer")

    def _hold(self, answers: Sequence[object]) -> None:
        """Start nothing for a while where Gmail refused calls for the quota."""
        pauses = [one.retry_after for one in answers if isinstance(one, Transient) and one.retry_after]
        if pauses:
            everything = len(pauses) == len(answers) and max(pauses) <= PATIENCE
            self._limiter.hold(max(pauses) if everything else SHORTEST_PAUSE)


def _tries_of(error: SourceError) -> int:
    """Return how often a call that fails so may be made in one sync."""
    if isinstance(error, Transient):
        return TRIES_OF_FAULTS if error.retry_after is None else TRIES
    final = isinstance(error, TokenRefused | AnswerTooLarge) or error.code == GONE
    return 1 if final else TRIES_OF_REFUSALS


def _pause(error: SourceError, attempt: int) -> timedelta:
    """Return the pause before a call is made again: what Gmail asks for, and longer each time."""
    asked = error.retry_after if isinstance(error, Transient) else None
    growing: timedelta = FIRST_PAUSE * 4**attempt
    return growing if asked is None else max(growing, asked)
