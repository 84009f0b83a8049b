"""Payloads of mail as Gmail gives them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any


def encoded(content: bytes) -> str:
    """Encode as Gmail does, without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def part(mime_type: str, content: str | bytes = b"", **fields: Any) -> dict[str, Any]:
    """Return a part of a payload; fields go over it."""
    raw = content.encode() if isinstance(content, str) else content
    body: dict[str, Any] = {"size": len(raw)} | ({"data": encoded(raw)} if raw else {})
    return {"partId": "", "mimeType": mime_type, "filename": "", "headers": [], "body": body} | fields


def typed(mime_type: str, content: str | bytes, *headers: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """Return a part with headers."""
    shown = [{"name": name, "value": value} for name, value in headers]
    return part(mime_type, content, headers=shown, **fields)


def several(mime_type: str, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return part(mime_type, parts=list(parts), **fields)


def nested(levels: int, innermost: dict[str, Any]) -> dict[str, Any]:
    for _ in range(levels):
        innermost = several("multipart/mixed", innermost)
    return innermost
