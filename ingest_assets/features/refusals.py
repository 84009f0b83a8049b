"""What a server says when it refuses a request, and what that means.

Servers agree on neither status, code nor form:
OpenAI, Azure, Groq, DeepSeek  {"error": {"message", "type", "param", "code"}}
vLLM                           the same, or {"object": "error", "message", "code": 400}
llama.cpp                      {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 8192}}
Mistral                        422, {"message": {"detail": [{"type", "loc", "msg", "input"}]}}, or that as text
Gemini                         [{"error": {"code": 400, "message", "status", "details": [{"fieldViolations"}]}}]
Anthropic                      {"type": "error", "error": {"type", "message"}}
OpenRouter, LiteLLM            another server's error as text within their own; OpenRouter also with status 200
FastAPI                        {"detail": ...}, whose `input` repeats what we sent
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

DEEPEST, MOST_NODES = 8, 200  # of an error's JSON
MOST_READ, MOST_SHOWN = 4_000, 300  # characters of a server's words

_TEXTS = {"message", "msg", "detail", "error", "errors", "description", "reason", "raw", "title", "error_message"}
_CODES = {"code", "type", "status", "error_code", "error_type"}
_FIELDS = {"param", "loc", "field", "parameter"}
_NESTED = {"details", "fieldViolations", "metadata", "innererror", "body"}


class Meaning(Enum):
    """What a refusal is about."""

    KEY = auto()
    QUOTA = auto()
    NO_MODEL = auto()
    REDIRECT = auto()
    TOO_LONG = auto()
    FILTERED = auto()
    TOO_OFTEN = auto()
    TROUBLE = auto()
    """The server's own; another try may succeed."""
    REFUSED = auto()
    """Anything else: about this request, or a form of request that the server does not know."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A server's answer that is none, as far as it can be understood."""

    status: int
    message: str = ""
    codes: frozenset[str] = frozenset()
    fields: tuple[str, ...] = ()
    context: int | None = None
    """The tokens that the model reads and writes at most, where the server says so."""

    @classmethod
    def of(cls, status: int, body: object) -> "Refusal":
        """Read an error's body: text, or the JSON that it holds."""
        found = _Found()
        _walk(_document(body) if isinstance(body, str) else body, found, DEEPEST)
        message = " ".join(dict.fromkeys(found.texts))[:MOST_READ]
        context = found.context or _context(message)
        return cls(
            status=status,
            message=message,
            codes=frozenset(found.codes),
            fields=tuple(found.fields),
            context=context,
        )

    @property
    def meaning(self) -> Meaning:
        """Tell by code, then by the texts that servers are known to send, then by status."""
        for meaning, codes in _MEANING_OF_CODES.items():
            if self.codes & codes:
                return meaning
        for meaning, statuses, text in _MEANING_OF_TEXTS:
            if self.status in statuses and text.search(self.message):
                return meaning
        return _by_status(self.status)

    def words(self, prompt: Iterable[str] = ()) -> str:
        """Return the server's own words to show: cut, cleaned, and without what they repeat of the prompt."""
        text = _clean(self.message)
        text = _without(_SECRET.sub("[key]", text), _clean("\n".join(prompt)))
        return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3].rstrip() + "..."


_CLIENT_ERRORS = frozenset(range(400, 500)) - {HTTPStatus.TOO_MANY_REQUESTS}
_ERRORS = frozenset(range(400, 600)) - {HTTPStatus.TOO_MANY_REQUESTS}
_ALL = frozenset(range(200, 600))

_MEANING_OF_CODES: dict[Meaning, frozenset[str]] = {
    Meaning.TOO_LONG: frozenset(
        {
            "context_length_exceeded",
            "context_window_exceeded",
            "exceed_context_size_error",
            "string_above_max_length",
            "string_too_long",
            "request_too_large",
            "payload_too_large",
        }
    ),
    Meaning.FILTERED: frozenset(
        {
            "content_filter",
            "content_policy",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "data_inspection_failed",
            "prohibited_content",
        }
    ),
    Meaning.QUOTA: frozenset({"insufficient_quota", "insufficient_balance", "billing_error", "payment_required"}),
    Meaning.KEY: frozenset({"invalid_api_key", "authentication_error", "unauthenticated"}),
    Meaning.NO_MODEL: frozenset({"model_not_found", "invalid_model", "not_found_error"}),
    Meaning.TROUBLE: frozenset({"json_validate_failed", "overloaded_error", "engine_overloaded_error"}),
}

_TOO_LONG = re.compile(
    r"maximum context length|maximum sequence length|context[ _-](?:length|window|size)"
    r"|(?:prompt|input|request|messages?|conversation) (?:is|are|was) too (?:long|large)|request too large"
    r"|too many (?:input |prompt )?tokens|reduce (?:the|your) (?:length|prompt|input|message)"
    r"|must be (?:at least|greater than|>=?) \d+, got -\d+"
    r"|token count[^.]{0,60} exceeds|exceeds? the (?:maximum|available|model)[^.]{0,60}(?:tokens?|context|length)"
    r"|(?:input|prompt) (?:length|tokens)[^.]{0,60} exceed|tokens > \d+ maximum",
    re.IGNORECASE,
)
_MEANING_OF_TEXTS = (
    (Meaning.TOO_LONG, _ERRORS | {200}, _TOO_LONG),
    (Meaning.TOO_LONG, {HTTPStatus.TOO_MANY_REQUESTS}, re.compile("request too large", re.IGNORECASE)),
    (
        Meaning.KEY,
        _CLIENT_ERRORS,
        re.compile(r"api[ _-]?key (?:is )?(?:not valid|invalid|expired)|(?:invalid|incorrect) api[ _-]?key", re.I),
    ),
    (
        Meaning.QUOTA,
        _CLIENT_ERRORS,
        re.compile(r"insufficient (?:balance|credits?|funds|quota)|credit balance is too low", re.IGNORECASE),
    ),
    (
        Meaning.NO_MODEL,
        _CLIENT_ERRORS,
        re.compile(
            r"\bmodel\b[^.]{0,80} (?:does not|doesn't|not) exist|model [^.]{0,80}not found|invalid model", re.I
        ),
    ),
    (
        Meaning.FILTERED,
        _CLIENT_ERRORS | {200},
        re.compile(r"content (?:management|filter|policy)|moderation|was flagged|safety (?:system|polic)", re.I),
    ),
)
_TROUBLE = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: Meaning.KEY,
    HTTPStatus.PAYMENT_REQUIRED: Meaning.QUOTA,
    HTTPStatus.NOT_FOUND: Meaning.NO_MODEL,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Meaning.TOO_LONG,
    HTTPStatus.TOO_MANY_REQUESTS: Meaning.TOO_OFTEN,
}


def _by_status(status: int) -> Meaning:
    if status in _BY_STATUS:
        return _BY_STATUS[HTTPStatus(status)]
    if status < 300 or status >= 500 or status in _TROUBLE:
        return Meaning.TROUBLE
    return Meaning.REDIRECT if status < 400 else Meaning.REFUSED


@dataclass
class _Found:
    texts: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    fields: list[str] = field(default_factory=list)
    context: int | None = None
    nodes: int = 0


def _walk(value: object, found: _Found, depth: int) -> None:
    """Collect what explains the refusal, and no key that may repeat what we sent (`input`, say)."""
    found.nodes += 1
    if depth == 0 or found.nodes > MOST_NODES:
        return
    if isinstance(value, str):
        inner = _document(value)
        if inner is value:
            found.texts.append(value[:MOST_READ])
        else:
            _walk(inner, found, depth - 1)
    elif isinstance(value, list):
        for one in value:
            _walk(one, found, depth - 1)
    elif isinstance(value, dict):
        for key, one in value.items():
            _collect(key, one, found, depth)


def _collect(key: str, value: object, found: _Found, depth: int) -> None:
    if key in _TEXTS or key in _NESTED:
        _walk(value, found, depth - 1)
    elif key in _CODES and isinstance(value, str | int):
        found.codes.add(str(value).lower())
    elif key in _FIELDS and isinstance(value, str | list):
        found.fields.append(value if isinstance(value, str) else ".".join(map(str, value)))
    elif key == "n_ctx" and isinstance(value, int):
        found.context = value


def _document(text: str) -> Any:
    """Return the JSON that a text is, or the text; of a page of HTML its title."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        try:
            return json.loads(stripped)
        except (ValueError, RecursionError):
            return text
    if stripped.startswith("<"):
        title = re.search(r"<title>([^<]{0,200})", stripped, re.IGNORECASE)
        return title.group(1) if title else ""
    return text


_CONTEXT = re.compile(
    r"context (?:length|window|size)(?: is| of)?[^\d.]{0,20}(\d{3,8})|(?:> )?(\d{3,8}) maximum", re.IGNORECASE
)


def _context(message: str) -> int | None:
    found = _CONTEXT.search(message)
    return None if found is None else int(found.group(1) or found.group(2))


_SECRET = re.compile(r"\b(?:sk|gsk|key|xai|pk|Bearer)[-_ ][\w*.-]{6,}|\bAIza[\w-]{10,}")
_REPEATED, _REPEATED_OTHER = 24, 8  # characters in a row that are no chance; other scripts say more in fewer


def _clean(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _without(text: str, prompt: str) -> str:
    """Leave out what stands in the prompt."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        window = text[at : at + _REPEATED]
        least = _REPEATED if window.isascii() else _REPEATED_OTHER
        end = at + least
        if end > len(text) or text[at:end] not in prompt:
            pieces.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in prompt:
            end += 1
        pieces.append("[...]")
        at = end
    return "".join(pieces)
