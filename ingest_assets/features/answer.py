"""What of a server's answer is used. Nothing in it is trusted: servers leave out, add and retype what they like.

content        text, a list of parts (Mistral's thinking models), or nothing: the answer may stand among `THOUGHTS`
finish_reason  OpenAI has five, other servers their own ("eos", "end_turn", null); only those of the table matter,
               and whatever it says, an answer whose JSON is complete is complete
usage          absent, null or partly null: estimated then, so that every budget counts
prompt_tokens  far below ours: the server cut the prompt to its context (Ollama), and read only a part of it
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ingest_assets.errors import IngestError
from ingest_assets.features.findings import complete
from ingest_assets.features.refusals import Refusal
from ingest_assets.features.tokens import tokens
from ingest_assets.sources.json_values import Json

REFUSAL, FILTERED, CUT_OFF, EMPTY, MALFORMED = "refusal", "content_filter", "length", "empty", "malformed"
PROMPT_CUT = "prompt_cut"
REASONS = {
    REFUSAL: "the model declined to answer",
    FILTERED: "the model's content filter stopped the answer",
    CUT_OFF: "the answer was longer than OPENAI_ANSWER_TOKENS",
    EMPTY: "the answer was empty",
    MALFORMED: "the answer does not follow the schema, nor did the corrected one",
    PROMPT_CUT: "the server read only a part of the prompt; let it serve the model with a longer context",
}
FINAL = {REFUSAL, FILTERED}
"""What the same request would meet again."""
HALVED = {CUT_OFF, PROMPT_CUT}
"""What a shorter part does not meet."""

FINISHED_FOR = {
    "length": CUT_OFF,
    "max_tokens": CUT_OFF,
    "model_length": CUT_OFF,
    "max_output_tokens": CUT_OFF,
    "content_filter": FILTERED,
    "content_filtered": FILTERED,
    "safety": FILTERED,
    "recitation": FILTERED,
    "prohibited_content": FILTERED,
    "blocklist": FILTERED,
    "spii": FILTERED,
    "refusal": REFUSAL,
}
THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put what a model thinks; vLLM also puts an answer there that the model gives without thinking
(vllm-project/vllm#17349, #48863, #50948)."""
PARTS_DEEP = 3  # a list of parts with a text each
MOST_TOKENS = 10_000_000  # of one answer; a larger count is no count
CUT_SHARE = (
    0.65  # of our count: no tokeniser is that much better than ours, and Ollama keeps half its context at most
)
TRANSCRIPT_SHARE = (
    0.9  # of our count of the transcript alone: servers that do not count a cached prefix report more
)


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


_tokens = lru_cache(maxsize=32)(tokens)  # a prompt is counted for the budget and for the request


@dataclass(frozen=True)
class Asked:
    """The size of a prompt by our own count, in tokens."""

    prompt: int
    transcript: int

    @classmethod
    def of(cls, messages: list[Json]) -> "Asked":
        sizes = [_tokens(message["content"]) for message in messages]
        return cls(sum(sizes), sum(sizes[1:2]))


class Rejected(IngestError):
    """There is an answer, and it cannot be used."""

    def __init__(self, outcome: str, usage: Usage) -> None:
        super().__init__(REASONS[outcome])
        self.outcome, self.usage = outcome, usage


class NoAnswer(Exception):
    """What came is no completion. `refusal`: the server's error, if it is one."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__()
        self.refusal = refusal


def read(document: Any, asked: Asked, *, batched: bool = False) -> tuple[str, Usage]:
    """Return an answer's text and what it cost. Raises Rejected, or NoAnswer."""
    choice = _choice(document)
    message = _mapping(choice.get("message"))
    text = _text(message.get("content")).strip() or _text(choice.get("text")) or _taken_for_thought(message)
    usage = _usage(_mapping(document.get("usage")), asked, text, batched=batched)
    if _cut(usage.input, asked):
        raise Rejected(PROMPT_CUT, usage)
    if complete(text) is None:
        if _text(message.get("refusal")):
            raise Rejected(REFUSAL, usage)
        outcome = FINISHED_FOR.get(str(choice.get("finish_reason")).lower())
        outcome = EMPTY if outcome is None and not text.strip() else outcome
        if outcome is not None:
            raise Rejected(outcome, usage)
    return text, usage


def _choice(document: object) -> Json:
    """Return the first choice that holds anything. OpenRouter tells an error instead, or within the choice."""
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = next((one for one in choices if isinstance(one, dict)), {}) if isinstance(choices, list) else {}
    error = choice.get("error") or (document.get("error") if isinstance(document, dict) else None)
    if error and not _text(_mapping(choice.get("message")).get("content")):
        raise NoAnswer(Refusal.of(_status(error), {"error": error}))
    if "message" not in choice and "text" not in choice:
        raise NoAnswer
    return choice


def _status(error: object) -> int:
    """Return the status that the error would have had by itself, where it names one."""
    code = error.get("code") if isinstance(error, dict) else None
    code = int(code) if isinstance(code, str) and code.isdecimal() and len(code) == 3 else code
    return code if isinstance(code, int) and 400 <= code < 600 else 200


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(content: object, depth: int = PARTS_DEEP) -> str:
    """Return the text of content in any of its forms, without parts of other types, such as thinking."""
    if isinstance(content, str):
        return content
    if depth and isinstance(content, dict) and content.get("type", "text") in ("text", "output_text"):
        return _text(content.get("text"), depth - 1)
    if depth and isinstance(content, list):
        return "".join(_text(part, depth - 1) for part in content)
    return ""


def _taken_for_thought(message: Json) -> str:
    """Return an answer that stands alone where thoughts do. A draft among thoughts is none."""
    for name in THOUGHTS:
        text = _text(message.get(name)).strip()
        if text.startswith("{") and text.endswith("}") and complete(text) is not None:
            return text
    return ""


def _usage(usage: Json, asked: Asked, text: str, *, batched: bool) -> Usage:
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Usage(prompt or asked.prompt, tokens(text) if completion is None else completion, batched)


def _count(value: Any) -> int | None:
    """Return a count of tokens, if it can be one."""
    plausible = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return int(value) if plausible else None


def _cut(prompt: int, asked: Asked) -> bool:
    return prompt < CUT_SHARE * asked.prompt and prompt < TRANSCRIPT_SHARE * asked.transcript
