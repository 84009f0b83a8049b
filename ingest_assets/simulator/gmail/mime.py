"""Packs what a message says into the tree of MIME parts that Gmail shows."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from ingest_assets.simulator.gmail.mail import APART, Json, Mail, attachment_id, encoded, leaves
from ingest_assets.simulator.gmail.mailbox import Mailbox

TAG = re.compile(r"<[^>]*>")
SNIPPET = 200  # characters
OVERHEAD = 800  # bytes that headers take


@dataclass(frozen=True)
class Letter:
    """What a message says and how it is packed."""

    sender: str
    to: str
    subject: str
    text: str | None = None
    html: str | None = None
    charset: str = "utf-8"
    attachments: Sequence[Json] = ()
    body_as_attachment: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def snippet(self) -> str:
        said = self.text if self.text is not None else html.unescape(TAG.sub(" ", self.html or ""))
        return html.escape(" ".join(said.split())[:SNIPPET])


def write(
    mailbox: Mailbox, letter: Letter, moment: float, *, thread_id: str | None, labels: Sequence[str]
) -> Mail:
    """Put a message into a mailbox, in a thread or beginning one."""
    message_id = f"{mailbox.rng.getrandbits(64):016x}"
    payload, contents = _payload(letter, message_id, moment)
    size = OVERHEAD + sum(int(leaf["body"]["size"]) for leaf in leaves(payload))
    wanted = {mailbox.label_id(label) for label in labels}
    mail = Mail(
        message_id, thread_id or message_id, moment, wanted, payload, letter.snippet(), size, contents=contents
    )
    mailbox.add(mail)
    return mail


def _payload(letter: Letter, message_id: str, moment: float) -> tuple[Json, dict[str, bytes | int]]:
    bodies = [
        _text(kind, text, letter.charset)
        for kind, text in (("text/plain", letter.text), ("text/html", letter.html))
        if text is not None
    ]
    tree = bodies[0] if len(bodies) == 1 else _multipart("multipart/alternative", bodies)
    if letter.attachments:
        tree = _multipart("multipart/mixed", [tree, *map(_file, letter.attachments)])
    _number(tree, "")
    contents: dict[str, bytes | int] = {}
    for leaf in leaves(tree):
        if leaf["filename"] or letter.body_as_attachment:
            content = leaf.pop("content", None)
            contents[leaf["partId"]] = leaf["body"]["size"] if content is None else content
            leaf["body"][APART] = attachment_id(message_id, leaf["partId"])
        else:
            leaf["body"]["data"] = encoded(leaf.pop("content"))
    headers = {
        "From": letter.sender,
        "To": letter.to,
        "Date": formatdate(moment),
        "Subject": letter.subject,
        "Message-ID": f"<{message_id}@mail.example>",
        "MIME-Version": "1.0",
        **letter.headers,
    }
    own = {header["name"].lower() for header in tree["headers"]}
    shown = [{"name": name, "value": value} for name, value in headers.items() if name.lower() not in own]
    tree["headers"] = [*shown, *tree["headers"]]
    return tree, contents


def _text(kind: str, text: str, charset: str) -> Json:
    try:
        content = text.encode(charset, errors="replace")
    except LookupError:  # senders declare charsets that do not exist
        content = text.encode()
    header = {"name": "Content-Type", "value": f'{kind}; charset="{charset}"'}
    return {
        "mimeType": kind,
        "filename": "",
        "headers": [header],
        "body": {"size": len(content)},
        "content": content,
    }


def _file(one: Json) -> Json:
    kind, name = one.get("mime_type", "application/pdf"), one["filename"]
    headers = [
        {"name": "Content-Type", "value": f'{kind}; name="{name}"'},
        {"name": "Content-Disposition", "value": f'attachment; filename="{name}"'},
    ]
    return {"mimeType": kind, "filename": name, "headers": headers, "body": {"size": int(one.get("size", 0))}}


def _multipart(kind: str, parts: list[Json]) -> Json:
    return {"mimeType": kind, "filename": "", "headers": [], "body": {"size": 0}, "parts": parts}


def _number(part: Json, place: str) -> None:
    part["partId"] = place
    if "parts" in part:
        part["headers"] = [{"name": "Content-Type", "value": f'{part["mimeType"]}; boundary="b{place}"'}]
    for number, inner in enumerate(part.get("parts", ())):
        _number(inner, f"{place}.{number}" if place else str(number))
