"""POST /openai/v1/chat/completions and GET /openai/v1/models.

login    Authorization: Bearer
strict   every object of a schema closes its properties and requires all of them, or it is refused
tokens   a quarter of the bytes; more than the key's context are refused
dialect  the key's server may be another than OpenAI's (dialects.py)
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_simulator.faults import Fault, Kind
from ingest_simulator.language_model import batches
from ingest_simulator.language_model.answers import findings
from ingest_simulator.language_model.dialects import DIALECTS, TOKEN_FIELDS, Dialect
from ingest_simulator.language_model.world import AS_COUNTED, Saying, Tenant
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend
from ingest_simulator.wire import JSON_TYPE, Answer, Json, header, read_body

VENDOR = "openai"
STATUSES = {
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "content_filter": 400,
}
INVALID = "invalid_request_error"
TITLE = re.compile(r"^Title: (.*)$", re.MULTILINE)


class ModelError(Exception):
    """The request is answered with this error."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        limit: int = 0,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.kind, self.limit = kind, limit

    def answer(self, *more: tuple[bytes, bytes]) -> Answer:
        kind = "insufficient_quota" if self.code == "insufficient_quota" else INVALID
        kind = "requests" if self.code == "rate_limit_exceeded" else kind
        error = {"message": self.message, "type": self.kind or kind, "param": self.param, "code": self.code}
        if self.limit:
            more = (*more, (b"x-ratelimit-limit-tokens", str(self.limit).encode()))
        return Answer(
            orjson.dumps({"error": error}), self.status, (JSON_TYPE, *more), self.code or "invalid_request"
        )


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /openai."""
    return [Route("/openai/v1/{path:path}", ModelApi(simulator))]


class ModelApi:
    """The ASGI application behind the API."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path_params"]["path"]
        method = _method(scope["method"], path)
        body = await read_body(receive) if scope["method"] == "POST" else b""
        key = header(scope, b"authorization").removeprefix("Bearer ")
        tenant = self._simulator.language_model.tenants.get(key)
        params = _outline(body)
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, method, None if tenant is None else tenant.id, params),
            lambda _repeat: self._answer(method, path, tenant, body, header(scope, b"content-type")),
            _instead,
        )

    def _answer(self, method: str, path: str, tenant: Tenant | None, body: bytes, kind: str) -> Answer:
        try:
            if tenant is None or tenant.revoked:
                raise ModelError(401, "invalid_api_key", "Incorrect API key provided.")
            if method == "models":
                data = [{"id": tenant.model, "object": "model", "created": 1_767_225_600, "owned_by": "simulator"}]
                return Answer(orjson.dumps({"object": "list", "data": data}))
            if method == "unknown":
                raise ModelError(404, None, "Invalid URL")
            if method == "chat.completions":
                return self._complete(tenant, _document(body))
            return self._of_batches(method, path, tenant, body, kind)
        except ModelError as error:
            return error.answer()

    def _of_batches(self, method: str, path: str, tenant: Tenant, body: bytes, kind: str) -> Answer:
        now, last = self._simulator.clock.now(), path.split("/")[1] if "/" in path else ""
        found: Any = None
        if method == "files.create":
            found = batches.uploaded(tenant, body, kind)
        elif method == "files.content" and last in tenant.files:
            return Answer(tenant.files[last], headers=((b"content-type", b"application/octet-stream"),))
        elif method == "batches.list":
            data = [batches.shown(tenant, one, now, self._in_batch) for one in tenant.batches.values()]
            found = {"object": "list", "data": data[::-1], "has_more": False}
        elif method == "batches.create" and (made := batches.created(tenant, _document(body), now)):
            found = batches.shown(tenant, made, now, self._in_batch)
        elif method == "batches.retrieve" and last in tenant.batches:
            found = batches.shown(tenant, tenant.batches[last], now, self._in_batch)
        if found is None:
            raise ModelError(404, None, "There is no such file or batch.")
        return Answer(orjson.dumps(found))

    def _in_batch(self, tenant: Tenant, asked: Json) -> Answer:
        try:
            return self._complete(tenant, asked)
        except ModelError as error:
            return error.answer()

    def _complete(self, tenant: Tenant, asked: Json) -> Answer:
        if asked.get("model") != tenant.model:
            raise ModelError(404, "model_not_found", "The model does not exist or you do not have access to it.")
        texts = [_text(message) for message in asked.get("messages") or ()]
        if not texts:
            raise ModelError(400, None, "messages must not be empty", param="messages")
        dialect = DIALECTS[tenant.dialect]
        if (refusal := dialect.refusal(asked)) is not None:
            return _error(*refusal)
        if dialect.hiccup is not None and not tenant.hiccups:
            tenant.hiccups += 1
            return _error(200, dialect.hiccup)
        schema = None if dialect.ignores_format else _schema(asked.get("response_format") or {}, tenant, texts)
        sizes = sum(map(_tokens, texts)), next((asked[name] for name in TOKEN_FIELDS if name in asked), 0)
        if (too_long := _too_long(dialect, tenant, *sizes)) is not None:
            return too_long
        saying = self._saying(tenant, asked, schema)
        if saying.document is not None:
            return Answer(orjson.dumps(saying.document))
        read = tenant.context_tokens // 2 + 2 if sizes[0] > tenant.context_tokens else sizes[0]  # as Ollama cuts
        return self._completion(asked["model"], saying, read, dialect)

    def _saying(self, tenant: Tenant, asked: Json, schema: Json | None) -> Saying:
        saying = tenant.sayings.popleft() if tenant.sayings else None
        if saying is not None:
            return saying
        inventing = tenant.inventions > 0
        tenant.inventions -= inventing
        return Saying(findings(_asked_of(asked["messages"]), schema, inventing=inventing))

    def _completion(self, model: str, saying: Saying, prompt_tokens: int, dialect: Dialect) -> Answer:
        world = self._simulator.language_model
        world.answers += 1
        completion_tokens = _tokens(str(saying.content or saying.refusal or ""))
        message: Json = {
            "role": "assistant",
            "content": saying.content,
            "refusal": saying.refusal,
            "annotations": [],
        }
        document = {
            "id": f"chatcmpl-{world.answers}",
            "object": "chat.completion",
            "created": int(self._simulator.clock.now()),
            "model": f"{model}-2026",
            "service_tier": "default",
            "system_fingerprint": None,
            "choices": [{"index": 0, "finish_reason": saying.finish_reason, "logprobs": None, "message": message}],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
        }
        if saying.usage != AS_COUNTED:
            document["usage"] = saying.usage
        document = dialect.answered(document)
        more = ((b"x-request-id", f"req_{world.answers}".encode()), (b"x-ratelimit-remaining-requests", b"4999"))
        return Answer(orjson.dumps(document), headers=(JSON_TYPE, *more))


def _too_long(dialect: Dialect, tenant: Tenant, prompt: int, answer: int) -> Answer | None:
    if prompt + answer * dialect.counts_answer > tenant.context_tokens and not dialect.cuts:
        if dialect.too_long is not None:
            return _error(*dialect.too_long(prompt, answer, tenant.context_tokens))
        said = "The context length is exceeded."
        raise ModelError(400, "context_length_exceeded", said, param="messages")
    if 0 < tenant.minute_tokens < prompt + answer:
        raise ModelError(
            429, "rate_limit_exceeded", "Rate limit reached.", kind="tokens", limit=tenant.minute_tokens
        )
    return None


def _error(status: int, document: object) -> Answer:
    return Answer(orjson.dumps(document), status, error="refused" if status >= 400 else "error")


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // 4)


def _method(verb: str, path: str) -> str:
    if path.startswith("files/") and path.endswith("/content"):
        return "files.content"
    if path.startswith("batches/"):
        return "batches.retrieve"
    return {
        ("POST", "chat/completions"): "chat.completions",
        ("GET", "models"): "models",
        ("POST", "files"): "files.create",
        ("POST", "batches"): "batches.create",
        ("GET", "batches"): "batches.list",
    }.get((verb, path), "unknown")


def _document(body: bytes) -> Json:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ModelError(400, None, "We could not parse the JSON body of your request.")
    return document


def _outline(body: bytes) -> dict[str, str]:
    """Return what the ledger may know: no message."""
    try:
        document = _document(body) if body else {}
    except ModelError:
        return {}
    form = document.get("response_format")
    kind = form.get("type", "text") if isinstance(form, dict) else "text"
    return {
        "model": str(document.get("model")),
        "format": str(kind),
        "store": str(document.get("store")),
        "sent": ",".join(sorted(document)),
        "title": _title(document.get("messages")),
    }


def _title(messages: Any) -> str:
    """Return the conversation that a request is about, so that a fault may be of one alone."""
    texts = [one.get("content") for one in messages or () if isinstance(one, dict)]
    found = next((match for text in texts if isinstance(text, str) and (match := TITLE.search(text))), None)
    return found.group(1) if found else ""


def _text(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise ModelError(400, None, "message content must be a string", param="messages")
    return content


def _asked_of(messages: list[Json]) -> str:
    """Return the first user message: a correction is about the same transcript."""
    return next((str(one["content"]) for one in messages if one.get("role") == "user"), "")


def _schema(form: Json, tenant: Tenant, texts: list[str]) -> Json | None:
    kind = form.get("type", "text")
    if kind == "json_object" and not any("json" in text.lower() for text in texts):
        raise ModelError(400, None, "messages must contain the word json", param="messages")
    if kind != "json_schema":
        return None
    if not tenant.knows_schemas:
        raise ModelError(400, None, "response_format of this type is not supported", param="response_format")
    schema: Json = form.get("json_schema", {}).get("schema") or {}
    if schema.get("type") != "object" or not all(map(_closed, _objects(schema))):
        raise ModelError(400, None, "Invalid schema for response_format", param="response_format")
    return schema


def _objects(schema: object) -> Iterator[Json]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _objects(inner)
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from _objects(inner)


def _closed(schema: Json) -> bool:
    return schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(
        schema.get("properties", {})
    )


def _instead(fault: Fault) -> Answer | None:
    wait = (b"retry-after", str(fault.retry_after).encode())
    if fault.kind is Kind.RATELIMIT:
        return ModelError(429, "rate_limit_exceeded", "Rate limit reached.").answer(wait)
    if fault.kind is Kind.ERROR:
        return ModelError(STATUSES.get(fault.error, fault.status), fault.error, "As scripted.").answer()
    return None
