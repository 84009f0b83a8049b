"""From a Gmail payload, a tree of MIME parts, to readable text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from inscriptis import get_text
from pybase64 import urlsafe_b64decode

Part = dict[str, Any]
CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
UTF_8 = "utf-8"
PLAIN, HTML, ALTERNATIVE = "text/plain", "text/html", "multipart/alternative"


def decoded(data: str) -> bytes:
    """Decode base64url, whose padding Gmail leaves out."""
    return urlsafe_b64decode(data + "=" * (-len(data) % 4))


def headers_of(part: Mapping[str, Any]) -> dict[str, str]:
    """Give headers by lower-case name; of a repeated one the first."""
    found: dict[str, str] = {}
    for header in part.get("headers") or ():
        found.setdefault(header["name"].lower(), header["value"])
    return found


def parts_of(payload: Part) -> Iterator[Part]:
    """Walk through a payload and everything in it."""
    yield payload
    for part in payload.get("parts") or ():
        yield from parts_of(part)


def is_body(part: Part) -> bool:
    """Whether a part is text to read, not a file to keep."""
    return part.get("mimeType") in (PLAIN, HTML) and not part.get("filename")


def kept_apart(payload: Part) -> list[Part]:
    """Find bodies that Gmail keeps behind an attachmentId."""
    return [
        part
        for part in parts_of(payload)
        if is_body(part)
        and "data" not in (part.get("body") or {})
        and (part.get("body") or {}).get("attachmentId")
    ]


def attachments_of(payload: Part) -> int:
    return sum(bool(part.get("filename")) for part in parts_of(payload))


def text_of(payload: Part, fetched: Mapping[str, str]) -> str:
    """Read a payload: of alternatives the plain one unless it is empty, of the rest everything in order.

    `fetched`: contents of parts that were kept apart, as Gmail encodes them, by partId.
    """
    if payload.get("mimeType") == ALTERNATIVE:
        # plain text first; of the rest the last is the richest, and turning HTML into text is slow
        richest_first = list(reversed(payload.get("parts") or ()))
        parts = sorted(richest_first, key=lambda part: part.get("mimeType") != PLAIN)
        return next((text for part in parts if (text := text_of(part, fetched)).strip()), "")
    inner = [text_of(part, fetched) for part in payload.get("parts") or ()]
    own = [_read(payload, fetched)] if is_body(payload) else []
    return "\n\n".join(text.strip() for text in (*own, *inner) if text.strip())


def _read(part: Part, fetched: Mapping[str, str]) -> str:
    data = (part.get("body") or {}).get("data")
    content = decoded(fetched.get(part.get("partId", ""), "") if data is None else data)
    if not content:
        return ""
    found = CHARSET.search(headers_of(part).get("content-type", ""))
    text = _told(content, found[1] if found else UTF_8)
    return text if part.get("mimeType") == PLAIN else get_text(text)


def _told(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, errors="replace")
    except (LookupError, ValueError):  # unknown, or Python knows it as something else: base64, idna
        return content.decode(UTF_8, errors="replace")


def stripped(part: Part) -> Part:
    """Give a part without contents, which are read into text, and without ids that differ from read to read."""
    kept = {key: value for key, value in part.items() if key not in ("body", "parts")}
    if isinstance(body := part.get("body"), dict):
        kept["body"] = {key: value for key, value in body.items() if key not in ("data", "attachmentId")}
    if "parts" in part:
        kept["parts"] = [stripped(inner) for inner in part["parts"]]
    return kept
