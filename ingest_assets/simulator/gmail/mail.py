"""A message as the Gmail API shows it, serialised once per format.

attachmentId  differs from read to read: the serialised bytes hold a placeholder for the part that changes
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]
APART = "attachmentId"
NONCE = "~nonce~"
ATTACHMENT_ID = re.compile(r"ANGjdJ8\d+_([0-9a-f]+)_([\d-]*)")
FULL, METADATA, MINIMAL, RAW = "full", "metadata", "minimal", "raw"
LINE = "\r\n"


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The opposite; the padding may be there or not."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def attachment_id(message_id: str, part_id: str) -> str:
    """The id of a part's contents, with a placeholder in it."""
    return f"ANGjdJ8{NONCE}_{message_id}_{part_id.replace('.', '-')}"


def leaves(part: Json) -> list[Json]:
    """The parts that contain no others."""
    return [leaf for inner in part["parts"] for leaf in leaves(inner)] if "parts" in part else [part]


@dataclass(slots=True, eq=False)
class Mail:
    """A message."""

    id: str
    thread_id: str
    moment: float
    labels: set[str]
    payload: Json
    snippet: str
    size: int
    history_id: int = 0
    raw: Json = field(default_factory=dict)
    """Laid over whatever is shown."""
    contents: dict[str, bytes | int] = field(default_factory=dict)
    """What is kept apart, by partId; of an attached file only the size is known."""
    _packed: dict[str, bytes] = field(default_factory=dict)

    def changed(self) -> None:
        """Forget how the message was serialised."""
        self._packed.clear()

    def packed(self, form: str, nonce: int) -> bytes:
        """The message as JSON."""
        if form not in self._packed:
            self._packed[form] = orjson.dumps(self.shown(form))
        packed = self._packed[form]
        return packed.replace(NONCE.encode(), b"%d" % nonce) if self.contents and form == FULL else packed

    def shown(self, form: str, headers: frozenset[str] = frozenset()) -> Json:
        """The message as a document; of the metadata only some headers, if any are named (in lower case)."""
        document: Json = {"id": self.id, "threadId": self.thread_id}
        if self.labels:
            document["labelIds"] = sorted(self.labels)
        document["snippet"] = self.snippet
        if form == FULL:
            document["payload"] = self.payload
        elif form == METADATA:
            kept = [one for one in self._headers() if not headers or one["name"].lower() in headers]
            document["payload"] = {"mimeType": self.payload.get("mimeType", ""), "headers": kept}
        elif form == RAW:
            document["raw"] = encoded(self._rfc822(self.payload))
        document["sizeEstimate"] = self.size
        document["historyId"] = str(self.history_id)
        document["internalDate"] = str(int(self.moment * 1000))
        return document | self.raw

    def header(self, name: str) -> str:
        """The first header of a name in lower case, or an empty text."""
        return next((one["value"] for one in self._headers() if one["name"].lower() == name), "")

    def content(self, part_id: str) -> bytes | None:
        """What is behind an attachmentId."""
        content = self.contents.get(part_id)
        return bytes(content) if isinstance(content, int) else content

    def _headers(self) -> list[Any]:
        headers = self.payload.get("headers")
        return headers if isinstance(headers, list) else []

    def _rfc822(self, part: Json) -> bytes:
        """A part as it travelled: headers, an empty line, and the contents as they are."""
        head = LINE.join(f"{one['name']}: {one['value']}" for one in part.get("headers", ()))
        lines = [f"{head}{LINE}{LINE}".encode()]
        if "parts" in part:
            mark = f"--b{part['partId']}"
            for inner in part["parts"]:
                lines += [f"{mark}{LINE}".encode(), self._rfc822(inner), LINE.encode()]
            lines.append(f"{mark}--{LINE}".encode())
        else:
            body = part.get("body", {})
            lines.append(decoded(body["data"]) if "data" in body else self.content(part["partId"]) or b"")
        return b"".join(lines)
