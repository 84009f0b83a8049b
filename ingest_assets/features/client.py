"""The language model: one request, its answer or why there is none.

The SDK's own retries are off: it retries an exhausted quota like any 429, and gives up at once when asked to wait
for more than two minutes (openai 3.54.0). Its models are not used either: it builds them without validation.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import inf
from typing import Any, TypeVar

from openai import APIConnectionError, APIResponseValidationError, APIStatusError, APITimeoutError, AsyncOpenAI

from ingest_assets.errors import IngestError
from ingest_assets.features.answer import FILTERED, Asked, NoAnswer, Rejected, Usage, read
from ingest_assets.features.http import AnswerTooLarge, http_client
from ingest_assets.features.refusals import Meaning, Refusal
from ingest_assets.features.request import Adapting, Endpoint
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.client.headers import pause_of
from ingest_assets.sources.client.http import parse_json
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.login import Clock

T = TypeVar("T")
Failed = Callable[[str, Usage], Awaitable[None]]
"""Notes a try that was not answered: why, and what it may have cost."""

TRIES, TIMEOUT_TRIES = 4, 2  # what took its whole time without an answer mostly does so again
MOST_CHANGES = 12  # of a request's form: all that there is to shed, guessed and named
LONGEST_WAIT = timedelta(seconds=60)  # beyond it the run ends, and a later one goes on
SHORTEST_WAIT = timedelta(minutes=1)  # between runs
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds
STOP_PAUSE = timedelta(minutes=15)  # before anybody tries again what an operator has to put right

SENTENCES = {
    Meaning.KEY: "The language model refuses OPENAI_API_KEY; set a valid one.",
    Meaning.QUOTA: "The language model's account has no quota left; look at its plan and billing.",
    Meaning.NO_MODEL: "There is no such model or address; check OPENAI_MODEL and OPENAI_BASE_URL.",
    Meaning.REDIRECT: "The language model's address redirects to another; set OPENAI_BASE_URL to the final one.",
}
TOO_LONG = "The transcript is longer than the model reads."
TOO_LONG_FOR_A_MINUTE = "The transcript is longer than the model reads in a minute."
UNNAMED_TOO_LONG = {400, 422}  # what servers answer to too long a prompt, where they do not say so
TIMED_OUT, NOT_REACHED, NO_COMPLETION = "timeout", "no connection", "no completion"
TOO_LARGE = "answer too large"
OUTCOMES = {
    TIMED_OUT: "does not answer in OPENAI_TIMEOUT_SECONDS",
    NOT_REACHED: "cannot be reached",
    TOO_LARGE: "answers with more bytes than any completion has",
}


class ModelStopped(IngestError):
    """No request makes sense before an operator acts."""

    def __init__(self, message: str, *, quota: bool = False) -> None:
        super().__init__(message)
        self.quota = quota
        """Whether the account has no money left, and not the key or the address is wrong."""


class ModelBusy(IngestError):
    """The model asks for a longer pause: a later run goes on."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class TooLong(IngestError):
    """The request is longer than the model reads."""


class Unanswered(IngestError):
    """A request met nothing but failures: the conversation's fault, or, if others fail too, the endpoint's."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        """Whether the server answered that it will not; else it failed."""


class LanguageModel:
    """A client for the time of a run."""

    def __init__(
        self, settings: ModelSettings, client: AsyncOpenAI, clock: Clock, endpoint: Endpoint | None = None
    ) -> None:
        self._settings, self.client, self._clock = settings, client, clock
        self.endpoint = endpoint or Endpoint()
        self.requests = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: ModelSettings, clock: Clock, endpoint: Endpoint | None = None
    ) -> AsyncGenerator["LanguageModel"]:
        """Raise ModelStopped where there is no key."""
        if settings.api_key is None:
            raise ModelStopped("OPENAI_API_KEY is not set; no features are extracted without it.")
        async with AsyncOpenAI(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            max_retries=0,
            http_client=http_client(settings.timeout_seconds),
        ) as client:
            yield cls(settings, client, clock, endpoint)

    def holds(self, _messages: Sequence[Json]) -> bool:
        """Tell whether the answer is there already, and paid for."""
        return False

    async def ask(
        self, messages: list[Json], failed: Failed | None = None, *, tries: int = TRIES
    ) -> tuple[str, Usage]:
        """Return the answer's text and what it cost.

        Raises ModelStopped, ModelBusy, TooLong, Unanswered, or Rejected for an answer that is none.
        """
        asked, form = Asked.of(messages), Adapting(self.endpoint)
        changes = 0

        async def request() -> tuple[str, Usage]:
            nonlocal changes
            while True:
                body = self.endpoint.body(self._settings, messages, asked.prompt, form.shape)
                try:
                    answer = read(await self._post(body), asked)
                except APIStatusError as error:
                    changes += 1
                    if changes > MOST_CHANGES or not self._adapts(_refusal(error), form, body, asked):
                        raise
                    continue
                form.answered()
                self.endpoint.answered(asked.prompt, answer[1].input)
                return answer

        return await self.patiently(request, messages, asked=asked, failed=failed, tries=tries)

    async def patiently(
        self,
        call: Callable[[], Awaitable[T]],
        messages: Sequence[Json] = (),
        *,
        asked: Asked | None = None,
        failed: Failed | None = None,
        tries: int = TRIES,
    ) -> T:
        """Make a call, `messages` where it asks any, again after a hiccup. Raises what `ask` raises."""
        asked = asked or Asked(0, 0)
        prompt = [message["content"] for message in messages]
        attempt = 0
        while True:
            attempt += 1
            try:
                return await call()
            except (APIStatusError, NoAnswer) as error:
                refusal = _refusal(error)
                self._raise(refusal, asked, prompt)
                outcome = f"status {refusal.status}" if isinstance(error, APIStatusError) else NO_COMPLETION
                pause = self._asked_pause(error)
                if attempt == tries and self._exceeds(asked, _tokens_a_minute(error)):
                    raise TooLong(TOO_LONG_FOR_A_MINUTE) from None
            except (TimeoutError, APITimeoutError):
                refusal, outcome, pause = None, TIMED_OUT, None
                tries = min(tries, TIMEOUT_TRIES)
            except APIConnectionError:
                refusal, outcome, pause = None, NOT_REACHED, None
            except AnswerTooLarge:
                refusal, outcome, pause = None, TOO_LARGE, None
            except (APIResponseValidationError, ValueError, RecursionError):
                refusal, outcome, pause = None, NO_COMPLETION, None
            if failed is not None and outcome != NOT_REACHED and _reached(refusal):
                await failed(outcome, Usage(self.endpoint.expected(asked.prompt)))
            await self._wait(pause or _pause(attempt), refusal, outcome, prompt, last=attempt >= tries)

    async def _wait(
        self, pause: timedelta, refusal: Refusal | None, outcome: str, prompt: Sequence[str], *, last: bool
    ) -> None:
        """Wait before the next try. Raises ModelBusy or Unanswered where there is none."""
        what = _what(refusal, outcome, prompt)
        if pause > LONGEST_WAIT or (last and _too_often(refusal)):
            until = self._clock.now() + max(pause, SHORTEST_WAIT)
            raise ModelBusy(f"The language model {what}; a run after {until:%H:%M} UTC goes on.", until) from None
        if last:
            raise Unanswered(f"The language model {what}.") from None
        await self._clock.sleep(pause.total_seconds())

    async def _post(self, body: Json) -> Any:
        """Send a request and parse what comes. Raises ValueError where that is no JSON."""
        self.requests += 1
        async with asyncio.timeout(self._settings.timeout_seconds):  # the SDK's is for each read of some bytes
            answer = await self.client.chat.completions.with_raw_response.create(**body)
        return parse_json(answer.content)

    def body(self, messages: list[Json]) -> Json:
        """Return a request's whole body, as a batch takes it, too."""
        return self.endpoint.body(self._settings, messages, Asked.of(messages).prompt)

    def _adapts(self, refusal: Refusal, form: Adapting, body: Json, asked: Asked) -> bool:
        """Whether the request can be made again in another form, or with less room for the answer."""
        if refusal.meaning is Meaning.TOO_LONG:
            if refusal.context is None:
                return False
            self.endpoint.context = refusal.context
            room = refusal.context - self.endpoint.expected(asked.prompt)
            answer_tokens = self.endpoint.answer_tokens(self._settings, asked.prompt)
            return room >= answer_tokens < (body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        unknown_form = {Meaning.REFUSED, Meaning.TROUBLE} if refusal.status >= 400 else set()
        if refusal.meaning not in unknown_form:
            return False
        # a proxy's 500 may hold the refusal of the server behind it
        return form.refused(refusal, guess=refusal.meaning is not Meaning.TROUBLE)

    def _raise(self, refusal: Refusal, asked: Asked, prompt: Sequence[str]) -> None:
        """Raise for what no second try puts right."""
        meaning, words = refusal.meaning, refusal.words(prompt)
        if meaning is Meaning.KEY:
            raise ModelStopped(SENTENCES[meaning]) from None
        if meaning in SENTENCES:
            raise ModelStopped(_with_words(SENTENCES[meaning], words), quota=meaning is Meaning.QUOTA) from None
        longer = refusal.status in UNNAMED_TOO_LONG and 0 < self.endpoint.longest < asked.prompt
        if meaning is Meaning.TOO_LONG or (meaning is Meaning.REFUSED and longer):
            raise TooLong(_with_words(TOO_LONG, words)) from None
        if meaning is Meaning.FILTERED:
            raise Rejected(FILTERED, Usage()) from None
        if meaning is Meaning.REFUSED:
            sentence = f"The language model refuses our request ({refusal.status})."
            raise Unanswered(_with_words(sentence, words), refused=True) from None

    def _exceeds(self, asked: Asked, limit: float) -> bool:
        """Whether a request may take more tokens, its answer's included."""
        return limit != inf and asked.prompt + self._settings.answer_tokens > limit

    def _asked_pause(self, error: APIStatusError | NoAnswer) -> timedelta | None:
        return pause_of(error.response.headers, self._clock.now()) if isinstance(error, APIStatusError) else None


def _refusal(error: APIStatusError | NoAnswer) -> Refusal:
    if isinstance(error, APIStatusError):
        return Refusal.of(error.status_code, error.response.text)
    return error.refusal or Refusal(status=200)


def _too_often(refusal: Refusal | None) -> bool:
    return refusal is not None and refusal.meaning is Meaning.TOO_OFTEN


def _reached(refusal: Refusal | None) -> bool:
    """Whether the model may have read the prompt; one that came too soon was not read."""
    return not _too_often(refusal)


def _what(refusal: Refusal | None, outcome: str, prompt: Sequence[str]) -> str:
    if outcome in OUTCOMES:
        return OUTCOMES[outcome]
    if refusal is None or outcome == NO_COMPLETION:
        words = refusal.words(prompt) if refusal else ""
        return f"answers something that is no completion{_quoted(words)}"
    return f"answers {refusal.status}{_quoted(refusal.words(prompt))}"


def _with_words(sentence: str, words: str) -> str:
    return f"{sentence} It says: “{words}”" if words else sentence


def _quoted(words: str) -> str:
    return f" (“{words}”)" if words else ""


def _tokens_a_minute(error: APIStatusError | NoAnswer) -> float:
    """Return the limit that a request ran into, if it was that of tokens: one that is larger never succeeds."""
    if not isinstance(error, APIStatusError) or error.status_code != 429 or error.type != "tokens":
        return inf
    try:
        return float(error.response.headers.get("x-ratelimit-limit-tokens", inf))
    except ValueError:
        return inf


def _pause(attempt: int) -> timedelta:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311  (jitter)
