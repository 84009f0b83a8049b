"""Bytes in and out: request parameters, finished answers, and connections that break.

parameters  GET query, POST form and POST JSON are read alike into texts
drop        the connection closes before any byte of an answer
truncate    the promised content-length is larger than what is sent before the connection closes
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "simulator.transport"

Json = dict[str, Any]
"""An object of JSON."""
Headers = tuple[tuple[bytes, bytes], ...]
JSON_TYPE: tuple[bytes, bytes] = (b"content-type", b"application/json; charset=utf-8")
HTML_TYPE: tuple[bytes, bytes] = (b"content-type", b"text/html; charset=utf-8")


class BodyError(Exception):
    """The request's body cannot be read; `code` says why in Slack's words."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True, frozen=True)
class Answer:
    """A finished HTTP answer; `error` is the vendor's code for the ledger."""

    body: bytes
    status: int = 200
    headers: Headers = (JSON_TYPE,)
    error: str | None = None

    async def send(self, send: Send, *, missing_bytes: int = 0) -> None:
        """Write it, promising some bytes more than there are if told to."""
        length = str(len(self.body) + missing_bytes).encode()
        headers = [*self.headers, (b"content-length", length)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": missing_bytes > 0})


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also shows the application its transport.

    ASGI has no way to close a connection without answering, and an application that just returns makes
    uvicorn answer 500.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


async def hang_up(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    """Close the connection, at once or after what was already written has left."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    if at_once:
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    return body


def header(scope: Scope, name: bytes) -> str:
    """Return a request header's value, or an empty text."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""


async def read_params(scope: Scope, receive: Receive) -> dict[str, str]:
    """Return the query's and the body's parameters as texts; the body wins."""
    query: bytes = scope["query_string"]
    params = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
    if scope["method"] == "POST" and (body := await read_body(receive)):
        params.update(_body_params(body, header(scope, b"content-type")))
    return params


def _body_params(body: bytes, content_type: str) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        except UnicodeDecodeError as error:
            raise BodyError("invalid_form_data") from error
    if kind == "application/json":
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BodyError("invalid_json") from error
        if not isinstance(document, dict):
            raise BodyError("json_not_object")
        return {name: _as_text(value) for name, value in document.items() if value is not None}
    raise BodyError("invalid_post_type" if kind else "missing_post_type")


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else orjson.dumps(value).decode()
