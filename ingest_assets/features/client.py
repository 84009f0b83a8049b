"""The language model: one request, its answer or why there is none, told apart by status and code.

The SDK's own retries are off: it retries an exhausted quota like any 429, and gives up at once when asked to wait
for more than two minutes (openai 3.54.0).
"""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any, TypeGuard, TypeVar

from openai import APIConnectionError, APIResponseValidationError, APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from ingest_assets.errors import IngestError
from ingest_assets.features.model import RESPONSE_FORMAT
from ingest_assets.features.parts import tokens
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.login import Clock

T = TypeVar("T")
TRIES = 4
LONGEST_WAIT = timedelta(seconds=60)  # beyond it the run ends, and a later one goes on
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds
STOP_PAUSE = timedelta(minutes=15)  # before anybody tries again what an operator has to put right

STOPPING_CODES = {
    "insufficient_quota": "The language model's account has no quota left; look at its plan and billing.",
}
STOPPING_STATUSES = {
    401: "The language model refuses OPENAI_API_KEY; set a valid one.",
    403: "OPENAI_API_KEY may not use this model; choose another OPENAI_MODEL or allow it.",
    404: "There is no such model or address; check OPENAI_MODEL and OPENAI_BASE_URL.",
}
TOO_LONG_CODES = {"context_length_exceeded", "string_above_max_length"}
FILTERED_CODES = {"content_filter", "content_policy_violation", "content_policy"}
TOO_MANY = 429
RETRIED_STATUSES = {408, 409, TOO_MANY}
REFUSAL, FILTERED, CUT_OFF, EMPTY, MALFORMED = "refusal", "content_filter", "length", "empty", "malformed"


class ModelStopped(IngestError):
    """No request makes sense before an operator acts."""


class ModelBusy(IngestError):
    """The model asks for a longer pause, or does not answer: a later run goes on."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class TooLong(IngestError):
    """The request is longer than the model reads."""


class Rejected(IngestError):
    """There is an answer, and it cannot be used."""

    def __init__(self, outcome: str, usage: "Usage") -> None:
        super().__init__(REASONS[outcome])
        self.outcome, self.usage = outcome, usage


REASONS = {
    REFUSAL: "the model declined to answer",
    FILTERED: "the model's content filter stopped the answer",
    CUT_OFF: "the answer was longer than OPENAI_ANSWER_TOKENS",
    EMPTY: "the answer was empty",
    MALFORMED: "the answer does not follow the schema, nor did the corrected one",
}
FINAL = {REFUSAL, FILTERED}
"""What the same request would meet again."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer, or of several."""

    input: int = 0
    output: int = 0
    batched: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input + other.input, self.output + other.output)

    @property
    def total(self) -> int:
        return self.input + self.output


class LanguageModel:
    """A client for the time of a run."""

    def __init__(self, settings: ModelSettings, client: AsyncOpenAI, clock: Clock) -> None:
        self._settings, self.client, self._clock = settings, client, clock
        self.format: dict[str, Any] = RESPONSE_FORMAT
        self.requests = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ModelSettings, clock: Clock) -> AsyncGenerator["LanguageModel"]:
        """Raises ModelStopped without a key."""
        if settings.api_key is None:
            raise ModelStopped("OPENAI_API_KEY is not set; no features are extracted without it.")
        async with AsyncOpenAI(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            max_retries=0,
        ) as client:
            yield cls(settings, client, clock)

    def holds(self, _messages: Sequence[dict[str, Any]]) -> bool:
        """Tell whether the answer is there already, and paid for."""
        return False

    async def ask(self, messages: Sequence[dict[str, Any]]) -> tuple[str, Usage]:
        """Give the answer's text and what it cost.

        Raises ModelStopped, ModelBusy, TooLong, or Rejected for an answer that is none.
        """
        return read(await self.patiently(lambda: self._request(messages), messages))

    async def patiently(self, call: Callable[[], Awaitable[T]], messages: Sequence[dict[str, Any]] = ()) -> T:
        """Make a call, `messages` where it asks any, again after a hiccup. Raises what `ask` raises."""
        attempt = 0
        while True:
            attempt, sent = attempt + 1, self.format
            try:
                return await call()
            except APIStatusError as error:
                if self._without_schema(error, sent):
                    continue
                _refuse(error)
                pause = self._asked_pause(error) or _pause(attempt)
                what = f"answers {error.status_code}"
                if attempt == TRIES and self._exceeds(messages, _tokens_a_minute(error)):
                    raise TooLong("The transcript is longer than the model reads in a minute.") from None
            except APIConnectionError:
                pause, what = _pause(attempt), "does not answer"
            except (APIResponseValidationError, ValueError):
                pause, what = _pause(attempt), "answers something that is not its API's"
            if pause > LONGEST_WAIT or attempt >= TRIES:
                until = self._clock.now() + max(pause, timedelta(minutes=1))
                raise ModelBusy(f"The language model {what}; a run after {until:%H:%M} UTC goes on.", until)
            await self._clock.sleep(pause.total_seconds())

    async def _request(self, messages: Sequence[dict[str, Any]]) -> ChatCompletion:
        self.requests += 1
        answer = await self.client.chat.completions.create(**self.body(messages))
        if not is_completion(answer):
            raise ValueError("no completion")
        return answer

    def body(self, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Give a request's whole body, as a batch takes it, too."""
        return {
            "model": self._settings.model,
            "messages": list(messages),
            "response_format": self.format,
            "max_completion_tokens": self._settings.answer_tokens,
            "store": False,
        }

    def _exceeds(self, messages: Sequence[dict[str, Any]], limit: float) -> bool:
        """Whether a request may take more tokens, its answer's included."""
        if limit == inf:
            return False
        return sum(tokens(message["content"]) for message in messages) + self._settings.answer_tokens > limit

    def _without_schema(self, error: APIStatusError, sent: dict[str, Any]) -> bool:
        """Fall back for a server that knows no schemas; the prompt holds ours, and we validate anyway.

        `sent`: the format of the refused request, since another one may have fallen back meanwhile.
        """
        unknown = error.status_code in {400, 422} and str(error.param or "").startswith("response_format")
        if not unknown or sent is not RESPONSE_FORMAT:
            return False
        self.format = {"type": "json_object"}
        return True

    def _asked_pause(self, error: APIStatusError) -> timedelta | None:
        value = error.response.headers.get("retry-after")
        if value is None:
            return None
        try:
            return timedelta(seconds=max(0.0, float(value)))
        except ValueError:
            pass
        try:
            return max(timedelta(0), parsedate_to_datetime(value).astimezone(UTC) - self._clock.now())
        except ValueError:
            return None


def is_completion(answer: Any) -> TypeGuard[ChatCompletion]:
    """Tell whether there is a message in what a server, OpenAI's or a compatible one, calls a completion."""
    choices = answer.choices if isinstance(answer, ChatCompletion) else None
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0].message, ChatCompletionMessage)


def _tokens_a_minute(error: APIStatusError) -> float:
    """Give the limit that a request ran into, if it was that of tokens: one that is larger never succeeds."""
    if error.status_code != TOO_MANY or error.type != "tokens":
        return inf
    try:
        return float(error.response.headers.get("x-ratelimit-limit-tokens", inf))
    except ValueError:
        return inf


def read(answer: ChatCompletion, *, batched: bool = False) -> tuple[str, Usage]:
    """Give an answer's text and what it cost. Raises Rejected for one that is none."""
    used = answer.usage
    usage = Usage(used.prompt_tokens, used.completion_tokens, batched) if used else Usage()
    choice = answer.choices[0]
    if choice.message.refusal:
        raise Rejected(REFUSAL, usage)
    if choice.finish_reason != "stop":
        raise Rejected(FILTERED if choice.finish_reason == "content_filter" else CUT_OFF, usage)
    if not choice.message.content:
        raise Rejected(EMPTY, usage)
    return choice.message.content, usage


def _refuse(error: APIStatusError) -> None:
    """Raise for what no second request puts right."""
    status, code = error.status_code, error.code or ""
    if code in STOPPING_CODES:
        raise ModelStopped(STOPPING_CODES[code]) from None
    if status in STOPPING_STATUSES:
        raise ModelStopped(STOPPING_STATUSES[status]) from None
    if code in TOO_LONG_CODES or status == 413:
        raise TooLong("The transcript is longer than the model reads.") from None
    if code in FILTERED_CODES:
        raise Rejected(FILTERED, Usage()) from None
    if status not in RETRIED_STATUSES and status < 500:
        raise ModelStopped(
            f"The language model refuses our request ({status}); check OPENAI_MODEL and OPENAI_BASE_URL."
        ) from None


def _pause(attempt: int) -> timedelta:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311  (jitter)
