"""What servers other than OpenAI's make of a request and of an answer, by their documents and by reports of users.

Each knows some optional fields and refuses or ignores the others, has its own form of an error, and writes an
answer that differs from OpenAI's somewhere: finish_reason, usage, the form of the content, text around the JSON.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ingest_simulator.wire import Json

TOKEN_FIELDS = ("max_completion_tokens", "max_tokens")
STRICT, SCHEMA, OBJECT = "strict", "json_schema", "json_object"

Error = tuple[int, Any]
"""Status and document."""


def _openai(message: str, **more: Any) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


@dataclass(frozen=True)
class Dialect:
    """One kind of server."""

    refused: frozenset[str] = frozenset()
    """Fields that it does not know and refuses."""
    refuse: Callable[[str, Any], Error] = lambda name, _value: (
        400,
        _openai(f"Unrecognized request argument: {name}"),
    )
    formats: frozenset[str] = frozenset({STRICT, SCHEMA, OBJECT})
    """What it takes as response_format; others are refused."""
    refuse_format: Callable[[str], Error] = lambda _kind: (400, _openai("response_format is not supported"))
    ignores_format: bool = False
    too_long: Callable[[int, int, int], Error] | None = None
    """By prompt, answer and context, in tokens; None: OpenAI's own."""
    counts_answer: bool = False
    """Whether what the answer may take counts against the context."""
    cuts: bool = False
    """Whether it reads the end of too long a prompt, and says nothing."""
    change: Callable[[Json], None] = lambda _document: None
    """Changes OpenAI's answer into this server's."""
    hiccup: Json | None = None
    """What it answers to the first request, with status 200."""

    def refusal(self, asked: Json) -> Error | None:
        """Return the error for the first thing that this server does not know."""
        for name in asked:
            if name in self.refused:
                return self.refuse(name, asked[name])
        kind = _kind(asked.get("response_format") or {})
        if kind is not None and not self.ignores_format and kind not in self.formats:
            return self.refuse_format(kind)
        return None

    def answered(self, document: Json) -> Json:
        """Write an answer as this server does."""
        changed = deepcopy(document)
        self.change(changed)
        return changed


def _kind(form: Json) -> str | None:
    kind = form.get("type", "text")
    if kind == "text":
        return None
    return STRICT if kind == SCHEMA and form.get("json_schema", {}).get("strict") else kind


def _message(document: Json) -> Json:
    found: Json = document["choices"][0]["message"]
    return found


def _azure(document: Json) -> None:
    document["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": {}}]
    document["choices"][0]["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}


def _vllm(document: Json) -> None:
    document["choices"][0] |= {"stop_reason": None, "finish_reason": "stop"}
    document |= {"prompt_logprobs": None, "kv_transfer_params": None, "service_tier": None}
    _message(document).update(reasoning_content=None, tool_calls=[])
    document["usage"]["completion_tokens_details"] = None


def _llama_cpp(document: Json) -> None:
    message = _message(document)
    message["content"] = (
        f'<think>\nThe schema is {{"items": ...}}, so I list them.\n</think>\n\n{message["content"]}'
    )
    message.pop("refusal")
    document["timings"] = {"prompt_n": 1, "predicted_n": 1}


def _ollama(document: Json) -> None:
    document["system_fingerprint"] = "fp_ollama"
    _message(document).pop("refusal")
    document["usage"].pop("prompt_tokens_details")


def _mistral(document: Json) -> None:
    message = _message(document)
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "They talk about {prices}."}]}
    message["content"] = [thought, {"type": "text", "text": message["content"]}]


def _deepseek(document: Json) -> None:
    document["usage"] |= {"prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 0}
    _message(document)["reasoning_content"] = "Let me see."


def _gemini(document: Json) -> None:
    message = _message(document)
    message.pop("refusal")
    message["content"] = f"```json\n{message['content']}\n```"
    document["usage"] = {"prompt_tokens": document["usage"]["prompt_tokens"], "total_tokens": 0}


def _anthropic(document: Json) -> None:
    message = _message(document)
    message["content"] = f"Here is {{items, summary}}:\n\n{message['content']}\n\nI left {{person}} empty."
    document |= {"system_fingerprint": "", "service_tier": None}
    document["choices"][0]["logprobs"] = None


def _litellm(document: Json) -> None:
    document["usage"] = None
    document["choices"][0].pop("logprobs")
    _message(document).update(provider_specific_fields={}, function_call=None, tool_calls=None)


def _openrouter(document: Json) -> None:
    document["choices"][0] |= {"finish_reason": "eos", "native_finish_reason": "end_turn"}
    document["provider"] = "A provider"
    document["usage"] |= {"completion_tokens": None, "cost": 0.01}


def _mistral_refusal(name: str, value: object) -> Error:
    detail = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": value}
    ]
    return 422, {
        "object": "error",
        "message": {"detail": detail},
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def _gemini_refusal(name: str, _value: object) -> Error:
    said = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"description": said}]}]
    return 400, [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT", "details": details}}]


def _litellm_refusal(name: str, value: object) -> Error:
    said = (
        f"litellm.UnsupportedParamsError: mistral does not support parameters: {{'{name}': {value}}}, for model=m."
        " To drop these, set `litellm.drop_params=True`.\nReceived Model Group=m\n"
        "Available Model Group Fallbacks=None"
    )
    return 400, {"error": {"message": said, "type": "None", "param": None, "code": "400"}}


def _context(prompt: int, answer: int, context: int) -> str:
    return (
        f"This model's maximum context length is {context} tokens. However, you requested {prompt + answer} "
        f"tokens ({prompt} in the messages, {answer} in the completion). Please reduce the length of the messages "
        "or completion."
    )


def _vllm_too_long(prompt: int, answer: int, context: int) -> Error:
    return 400, {
        "object": "error",
        "message": _context(prompt, answer, context),
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    }


def _llama_cpp_too_long(prompt: int, _answer: int, context: int) -> Error:
    error = {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": prompt,
        "n_ctx": context,
    }
    return 400, {"error": error}


def _mistral_too_long(prompt: int, _answer: int, context: int) -> Error:
    said = f"Prompt contains {prompt} tokens, too large for model with {context} maximum context length"
    return 400, {
        "object": "error",
        "message": said,
        "type": "invalid_request_error",
        "param": None,
        "code": "3051",
    }


def _anthropic_too_long(prompt: int, _answer: int, context: int) -> Error:
    said = f"prompt is too long: {prompt} tokens > {context} maximum"
    return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": said}}


def _groq_refusal(name: str, _value: object) -> Error:
    said = f"property '{name}' is unsupported, did you mean 'stop'?"
    return 400, {"error": {"message": said, "type": "invalid_request_error"}}


def _groq_format(_kind: str) -> Error:
    said = "This model does not support response format `json_schema`. See supported models at our documents"
    return 400, {"error": {"message": said, "type": "invalid_request_error"}}


def _deepseek_format(_kind: str) -> Error:
    return 400, _openai("This response_format type is unavailable now", code="invalid_request_error")


def _deepseek_too_long(*sizes: int) -> Error:
    return 400, _openai(_context(*sizes), code="invalid_request_error")


def _litellm_too_long(*sizes: int) -> Error:
    return 400, _openai(f"litellm.ContextWindowExceededError: {_context(*sizes)}", type=None, code="400")


DIALECTS: dict[str, Dialect] = {
    "openai": Dialect(),
    "azure": Dialect(
        refused=frozenset({"store", "max_completion_tokens"}),
        refuse=lambda name, _value: (400, _openai(f"Unrecognized request argument supplied: {name}")),
        change=_azure,
    ),
    "vllm": Dialect(too_long=_vllm_too_long, counts_answer=True, change=_vllm),
    "llama.cpp": Dialect(too_long=_llama_cpp_too_long, change=_llama_cpp),
    "ollama": Dialect(cuts=True, change=_ollama),
    "mistral": Dialect(
        refused=frozenset({"store", "max_completion_tokens"}),
        refuse=_mistral_refusal,
        too_long=_mistral_too_long,
        change=_mistral,
    ),
    "deepseek": Dialect(
        formats=frozenset({OBJECT}),
        refuse_format=_deepseek_format,
        too_long=_deepseek_too_long,
        counts_answer=True,
        change=_deepseek,
    ),
    "groq": Dialect(
        refused=frozenset({"store"}),
        refuse=_groq_refusal,
        formats=frozenset({OBJECT}),
        refuse_format=_groq_format,
    ),
    "gemini": Dialect(refused=frozenset({"store"}), refuse=_gemini_refusal, change=_gemini),
    "anthropic": Dialect(ignores_format=True, too_long=_anthropic_too_long, change=_anthropic),
    "litellm": Dialect(
        refused=frozenset({"store", "max_completion_tokens"}),
        refuse=_litellm_refusal,
        too_long=_litellm_too_long,
        counts_answer=True,
        change=_litellm,
    ),
    "openrouter": Dialect(
        change=_openrouter,
        hiccup={"error": {"code": 502, "message": "Provider returned error", "metadata": {"raw": "overloaded"}}},
    ),
}
