"""The body of a request, and how it sheds what a server does not know: one thing at a time, kept for the process.

`temperature` is never sent: the default model refuses any, and an answer is checked quote by quote.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ingest_assets.features.model import SCHEMA
from ingest_assets.features.refusals import Refusal
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.json_values import Json

NAME = "findings"
FORMATS: tuple[tuple[str, Json | None], ...] = (
    ("strict schema", {"type": "json_schema", "json_schema": {"name": NAME, "strict": True, "schema": SCHEMA}}),
    ("json schema", {"type": "json_schema", "json_schema": {"name": NAME, "schema": SCHEMA}}),
    ("json_object", {"type": "json_object"}),
    ("no response_format", None),
)
TOKEN_FIELDS = ("max_completion_tokens", "max_tokens", None)
LEAST_ANSWER = 1_000  # tokens; a context that leaves less to the answer is too short for the prompt
TOKEN_MARGIN = 1.15  # of our count, as far as it is corrected, against the server's
RATES = 0.8, 3.0  # between which a server's count can be of ours
LEARNED = 0.2  # the share of the newest answer in what is known of a server's count

_UNKNOWN = re.compile(
    r"un(?:supported|recogni[sz]ed|known|available|expected)"
    r"|not (?:supported|permitted|allowed|available|recogni[sz]ed)|does(?: not|n't) support"
    r"|extra (?:inputs|fields)|invalid|must be",
    re.IGNORECASE,
)
_STORE = re.compile(r"\bstore\b")
_TOKENS = re.compile(r"\bmax_(?:completion_)?tokens\b")
_USE_INSTEAD = re.compile(r"\buse\W+(max_(?:completion_)?tokens)\b", re.IGNORECASE)
_FORMAT = re.compile(
    r"response_?format|json_?(?:schema|object)|structured.outputs?|guided|grammar|additionalProperties|\bstrict\b",
    re.IGNORECASE,
)
_SYSTEM = re.compile(
    r"system role|role\W+system|only user and assistant roles|roles must alternate", re.IGNORECASE
)


@dataclass(frozen=True)
class Shape:
    """What of a request's optional part a server is sent."""

    store: bool = True
    tokens: int = 0
    """In TOKEN_FIELDS."""
    format: int = 0
    """In FORMATS."""
    system: bool = True
    """Whether the instructions are a message of their own."""

    def without(self, refusal: Refusal) -> "Shape | None":
        """Shed what a refusal names, if this shape holds it."""
        fields = " ".join(refusal.fields)
        text = refusal.message if _UNKNOWN.search(refusal.message) else ""
        for named in (fields, text):
            if self.store and _STORE.search(named):
                return replace(self, store=False)
            if self.tokens + 1 < len(TOKEN_FIELDS) and _TOKENS.search(named):
                return replace(self, tokens=self._next_tokens(refusal.message))
            if self.format + 1 < len(FORMATS) and _FORMAT.search(named):
                return replace(self, format=self.format + 1)
        if self.system and _SYSTEM.search(refusal.message):
            return replace(self, system=False)
        return None

    def _next_tokens(self, message: str) -> int:
        wanted = _USE_INSTEAD.search(message)
        name = wanted.group(1).lower() if wanted else None
        if name is not None and name != TOKEN_FIELDS[self.tokens]:
            return TOKEN_FIELDS.index(name)
        return self.tokens + 1

    def guesses(self) -> Iterator["Shape"]:
        """Shed one thing after the other, for a server that does not say what it refuses."""
        shape = self
        if shape.store:
            yield (shape := replace(shape, store=False))
        if shape.tokens == 0:
            yield (shape := replace(shape, tokens=1))
        for place in range(shape.format + 1, len(FORMATS)):
            yield (shape := replace(shape, format=place))

    @property
    def format_name(self) -> str:
        return FORMATS[self.format][0]

    @property
    def shed(self) -> list[str]:
        """Return the names of what is sent no more, or sent instead."""
        found = [] if self.store else ["store"]
        if self.tokens:
            found.append(f"max_completion_tokens -> {TOKEN_FIELDS[self.tokens] or 'none'}")
        if self.format:
            found.append(f"strict schema -> {self.format_name}")
        return found if self.system else [*found, "system message -> user message"]


class Endpoint:
    """What a process has learned about a model at an address."""

    def __init__(self) -> None:
        self.shape = Shape()
        self.longest = 0
        """Tokens of the longest prompt that was answered; 0 while nothing was."""
        self.context: int | None = None
        self.rate = 1.0
        """The server's count of tokens by ours."""
        self.guessed = False
        """Whether a request was refused in every shape: then nothing optional is the reason."""

    def answered(self, tokens: int, counted: int) -> None:
        """Learn from an answer how many tokens the prompt had, by our count and by the server's."""
        self.longest = max(self.longest, tokens)
        least, most = RATES
        self.rate += LEARNED * (min(most, max(least, counted / tokens)) - self.rate)

    def expected(self, tokens: int) -> int:
        """Correct our count of a prompt by what the server counted before."""
        return round(tokens * self.rate)

    def body(
        self, settings: ModelSettings, messages: Sequence[Json], tokens: int, shape: Shape | None = None
    ) -> Json:
        """Return a request's whole body, as a batch takes it, too. `tokens`: the prompt's."""
        shape = shape or self.shape
        body: Json = {
            "model": settings.model,
            "messages": list(messages) if shape.system else _without_system(messages),
        }
        if (form := FORMATS[shape.format][1]) is not None:
            body["response_format"] = form
        if (name := TOKEN_FIELDS[shape.tokens]) is not None:
            body[name] = self.answer_tokens(settings, tokens)
        if shape.store:
            body["store"] = False
        return body

    def answer_tokens(self, settings: ModelSettings, tokens: int) -> int:
        """Return what may be asked for next to a prompt, where the server told how much it reads and writes."""
        if self.context is None:
            return settings.answer_tokens
        room = self.context - int(self.expected(tokens) * TOKEN_MARGIN)
        return min(settings.answer_tokens, max(LEAST_ANSWER, room))


class Adapting:
    """The shape of one request, through its refusals.

    What a refusal names is shed for every request. What is guessed is this request's alone until it is answered:
    its own content may be what the server does not like.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._guesses: Iterator[Shape] | None = None
        self.shape = endpoint.shape

    def refused(self, refusal: Refusal, *, guess: bool = True) -> bool:
        """Shed one thing; whether another try makes sense."""
        if not self._guessing and self.shape != self._endpoint.shape:  # others have shed something meanwhile
            self.shape = self._endpoint.shape
            return True
        if (named := self.shape.without(refusal)) is not None:
            self.shape = self._endpoint.shape = named
            self._guesses = None
            return True
        if not guess:
            return False
        guessed = self._guess()
        self.shape = guessed or self._endpoint.shape
        return guessed is not None

    def answered(self) -> None:
        """Keep a guess, unless an answer to another request has refuted it."""
        if self._guessing:
            self._endpoint.shape = self.shape

    @property
    def _guessing(self) -> bool:
        return self._guesses is not None and not self._endpoint.longest

    def _guess(self) -> Shape | None:
        """Return the next shape to try while nothing was answered, for a server that names nothing."""
        if self._endpoint.longest or self._endpoint.guessed:
            return None
        if self._guesses is None:
            self._guesses = self.shape.guesses()
        shape = next(self._guesses, None)
        self._endpoint.guessed = shape is None
        return shape


def _without_system(messages: Sequence[Json]) -> list[Json]:
    """Put the instructions in front of the first message of the user, for models that know no other role."""
    system, user, *rest = messages
    return [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]
