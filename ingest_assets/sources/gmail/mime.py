"""Gmail's payload: a tree of MIME parts with headers, which anybody may have made."""

from collections.abc import Iterator, Mapping

from pybase64 import urlsafe_b64decode

from ingest_assets.sources.json_values import Json, JsonView

Part = Json
DEEPEST = 50  # levels that are kept: real mail has up to ten, and JSON of 254 cannot be written
MOST_PARTS = 1_000  # whose text is read; a digest of a mailing list has 100


def decoded(data: str) -> bytes:
    """Decode base64url, whose padding Gmail leaves out; the other alphabet means the same."""
    data = data.replace("+", "-").replace("/", "_")
    return urlsafe_b64decode(data + "=" * (-len(data) % 4))


def headers_of(part: JsonView) -> dict[str, list[str]]:
    """Return headers by lower-case name, in order; one without a name or a value is left out."""
    found: dict[str, list[str]] = {}
    for header in part.get("headers") or ():
        name, value = header.get("name"), header.get("value")
        if isinstance(name, str) and isinstance(value, str):
            found.setdefault(name.lower(), []).append(value)
    return found


def header_of(part: JsonView, name: str) -> str:
    """Return the first header of a name in lower case, or ""."""
    for header in part.get("headers") or ():
        named, value = header.get("name"), header.get("value")
        if isinstance(named, str) and named.lower() == name and isinstance(value, str):
            return value
    return ""


def mime_type(part: Part) -> str:
    """Return the type in lower case; a part without one and without parts is plain text (RFC 2045, 5.2)."""
    named = (part.get("mimeType") or "").lower()
    return named or ("multipart/mixed" if part.get("parts") else "text/plain")


def leaves_of(payload: Part) -> Iterator[Part]:
    """Walk through all that holds contents, in order, at any depth."""
    waiting = [payload]
    while waiting:
        part = waiting.pop()
        if inner := part.get("parts"):
            waiting.extend(reversed(inner))
        if not inner or part.get("filename"):
            yield part


def contents_of(part: Part, fetched: Mapping[str, str]) -> bytes:
    """Return what a part holds. `fetched`: contents that Gmail keeps apart, as it encodes them, by partId."""
    data = (part.get("body") or {}).get("data")
    return decoded(fetched.get(part.get("partId", ""), "") if data is None else data)


def attachment_id_of(part: Part) -> str | None:
    """Return the id under which Gmail keeps a part's contents apart."""
    body = part.get("body") or {}
    return None if "data" in body else body.get("attachmentId")


def stripped(payload: Part) -> Part:
    """Return a part without contents, which are read into text, and without ids that differ from read to read.

    Of what is nested deeper than anybody nests, the number of parts is kept.
    """
    return _stripped(payload, DEEPEST)


def _stripped(part: Part, levels: int) -> Part:
    kept = {key: value for key, value in part.items() if key not in ("body", "parts")}
    if isinstance(body := part.get("body"), dict):
        kept["body"] = {key: value for key, value in body.items() if key not in ("data", "attachmentId")}
    if "parts" in part:
        inner = part["parts"] or []
        kept["parts"] = [_stripped(one, levels - 1) for one in inner] if levels else []
        if inner and not levels:
            kept["partsLeftOut"] = len(inner)
    return kept
