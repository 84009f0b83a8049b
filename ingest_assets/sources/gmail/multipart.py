"""Many calls in one HTTP request: multipart/mixed out, multipart/mixed back, in any order.

The library's own batch puts every part through Python's mail package, both ways, and spends more on that than
all the rest of a sync takes. What comes back is read in one pass; what nobody asked for is left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

from ingest_assets.sources.client.http import Answer

BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""", re.IGNORECASE)
ESCAPED = re.compile(r"\\(.)")
LONGEST_BOUNDARY = 200  # characters; RFC 2046 allows 70
LONGEST_HEAD = 16_384  # bytes of a part's headers
LOOKED_AT = 4  # parts for each call: whoever sends more of them sends them to keep us busy
AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*\r?(?=\n|\Z)")
NEWLINE = ord("\n")
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
BLANK = re.compile(rb"\s*")
FOLD = re.compile(rb"\r?\n[ \t]+")
CONTENT_ID = re.compile(rb"^content-id[ \t]*:[ \t]*<?(?:response-)?([^>\r\n]{1,200}?)>?[ \t]*\r?$", re.I | re.M)
STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?![^\s])")
HEADER = re.compile(r"([!-9;-~]+)[ \t]*:[ \t]*(.*)")


@dataclass(frozen=True)
class Packed:
    """The body of one HTTP request for many GETs."""

    content_type: str
    content: bytes
    keys: Mapping[str, str]
    """By Content-ID the key of the call. Nobody can guess an id, so that no other answer passes for this one's."""


def packed(paths: Mapping[str, str]) -> Packed:
    """Pack GETs of paths, by their keys, into one body."""
    boundary, request = uuid4().hex, uuid4().hex
    keys = {f"{request}-{number}": key for number, key in enumerate(paths)}
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{content_id}>\r\n\r\n"
        f"GET {paths[key]} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        for content_id, key in keys.items()
    ]
    return Packed(f'multipart/mixed; boundary="{boundary}"', f"{''.join(parts)}--{boundary}--\r\n".encode(), keys)


def unpacked(keys: Mapping[str, str], content_type: str, body: bytes) -> dict[str, Answer]:
    """Return the answers by the keys of the calls; one that cannot be read, or was not asked for, is absent.

    Of two answers to the same call a good one is preferred.
    """
    found: dict[str, Answer] = {}
    for start, end in _parts(content_type, body, at_most=LOOKED_AT * len(keys)):
        outer, inner_start = _head(body, start, end)
        inner, content_start = _head(body, _past(BLANK, body, inner_start, end), end)
        content_id, status = CONTENT_ID.search(outer), STATUS.match(inner)
        if content_id is None or status is None:
            continue
        key = keys.get(content_id[1].decode("latin-1"))
        if key is None or (key in found and found[key].ok):
            continue
        found[key] = Answer(int(status[1]), _headers(inner), body[content_start:end])
    return found


def _parts(content_type: str, body: bytes, *, at_most: int) -> list[tuple[int, int]]:
    """Return where the parts lie: between lines that are the boundary, without what comes before and after."""
    boundary = _boundary(content_type)
    if boundary is None:
        return []
    found: list[tuple[int, int]] = []
    start: int | None = None
    for place, delimiter in _delimiters(b"--" + boundary, body):
        if start is not None:
            found.append((start, place))
        if delimiter[1] is not None or len(found) == at_most:
            return found
        start = delimiter.end() + 1
    if start is not None and start < len(body):
        found.append((start, len(body)))  # the end is missing: the last part may be whole all the same
    return found


def _delimiters(boundary: bytes, body: bytes) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Yield the lines that are the boundary, and where each begins. Bytes are found faster than patterns."""
    place = body.find(boundary)
    while place >= 0:
        after = place + len(boundary)
        delimiter = AFTER_BOUNDARY.match(body, after)
        if delimiter is not None and (place == 0 or body[place - 1] == NEWLINE):
            yield place, delimiter
        place = body.find(boundary, after)


def _boundary(content_type: str) -> bytes | None:
    found = BOUNDARY.search(content_type)
    if found is None:
        return None
    boundary = found[2] or ESCAPED.sub(r"\1", found[1] or "")
    return boundary.encode("latin-1", "replace") if 0 < len(boundary) <= LONGEST_BOUNDARY else None


def _head(body: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return the headers that begin somewhere, unfolded, and where what follows them begins."""
    if body.startswith((b"\n", b"\r\n"), start, end):  # none
        return b"", body.index(b"\n", start) + 1
    found = END_OF_HEAD.search(body, start, min(end, start + LONGEST_HEAD))
    if found is None:
        return b"", end
    return FOLD.sub(b" ", body[start : found.start()]), found.end()


def _past(pattern: re.Pattern[bytes], body: bytes, start: int, end: int) -> int:
    found = pattern.match(body, start, end)
    return start if found is None else found.end()


def _headers(head: bytes) -> dict[str, str]:
    """Return headers by lower-case name; what follows the first line."""
    lines = head.decode("latin-1").splitlines()[1:]
    return {header[1].lower(): header[2].strip() for line in lines if (header := HEADER.fullmatch(line))}
