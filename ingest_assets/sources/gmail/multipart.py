"""Many calls in one HTTP request: multipart/mixed out, multipart/mixed back, in any order.

The library's own batch puts every part through Python's mail package, both ways, and spends more on that than
all the rest of a sync takes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

BOUNDARY = re.compile(r"boundary=\"?([^\";]+)", re.IGNORECASE)
CONTENT_ID = re.compile(rb"^content-id:\s*<?response-(.+?)>?\s*$", re.IGNORECASE | re.MULTILINE)
STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})")
EMPTY_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Answer:
    """What came back for one call."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def packed(paths: Iterable[str]) -> tuple[str, bytes]:
    """Give the content type and the body of one HTTP request for many GETs."""
    boundary = uuid4().hex
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n"
        f"GET {path} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        for number, path in enumerate(paths)
    ]
    return f'multipart/mixed; boundary="{boundary}"', f"{''.join(parts)}--{boundary}--\r\n".encode()


def unpacked(keys: Sequence[str], content_type: str, body: bytes) -> dict[str, Answer]:
    """Give the answers by the keys of the paths that were packed; a part that cannot be read is absent."""
    found: dict[str, Answer] = {}
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        return found
    for part in body.split(b"--" + boundary[1].encode())[1:]:
        pieces = EMPTY_LINE.split(part, 2)
        if len(pieces) < 3:
            continue  # the end, or cut off
        outer, inner, content = pieces
        number, status = CONTENT_ID.search(outer), STATUS.match(inner.lstrip())
        if number is None or status is None or not number[1].isdigit() or int(number[1]) >= len(keys):
            continue
        headers = dict(
            line.lower().split(": ", 1) for line in inner.decode("latin-1").splitlines()[1:] if ": " in line
        )
        found[keys[int(number[1])]] = Answer(int(status[1]), headers, content)
    return found
