"""Writes mail: MIME trees as Gmail shows them, and seeded conversations."""

import random
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from ingest_simulator.gmail.world import Mail, Mailbox
from ingest_simulator.wire import Json

CUSTOMERS = ("ann@acme.example", "li@globex.example", "sven@umbra.example", "rosa@kestrel.example")
SUBJECTS = ("Renewal", "Seats for the new team", "Export question", "Invoice 2291", "Security review", "Kickoff")
LINES = (
    "Thanks for the call, here is what we agreed on.",
    "Could you confirm the price for eighty seats?",
    "Our security team has three more questions.",
    "The export still cuts off after ten thousand rows.",
    "We would like to start in the second week of March.",
    "I am adding Rosa, who will run the pilot on our side.",
)
APART = "attachmentId"


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


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def write(
    mailbox: Mailbox, letter: Letter, moment: float, *, thread_id: str | None, labels: Sequence[str]
) -> Mail:
    message_id = f"{mailbox.rng.getrandbits(64):016x}"
    thread = thread_id or message_id
    payload, contents = _payload(letter, message_id, moment)
    said = letter.text or letter.html or ""
    size = 800 + len(said) + sum(int(one.get("size", 0)) for one in letter.attachments)
    mail = Mail(
        message_id,
        thread,
        moment,
        {mailbox.label_id(label) for label in labels},
        payload,
        said[:80],
        size,
        0,
        attachments=contents,
    )
    mailbox.add(mail)
    return mail


def _payload(letter: Letter, message_id: str, moment: float) -> tuple[Json, dict[str, str]]:
    headers = {
        "From": letter.sender,
        "To": letter.to,
        "Date": formatdate(moment),
        "Subject": letter.subject,
        "Message-ID": f"<{message_id}@mail.example>",
        **letter.headers,
    }
    contents: dict[str, str] = {}
    bodies = [
        _text_part(kind, text, letter.charset)
        for kind, text in (("text/plain", letter.text), ("text/html", letter.html))
        if text is not None
    ]
    tree: Json = (
        bodies[0]
        if len(bodies) == 1
        else {
            "mimeType": "multipart/alternative",
            "filename": "",
            "headers": [],
            "body": {"size": 0},
            "parts": bodies,
        }
    )
    if letter.attachments:
        files = [
            {
                "mimeType": one.get("mime_type", "application/pdf"),
                "filename": one["filename"],
                "headers": [{"name": "Content-Disposition", "value": f'attachment; filename="{one["filename"]}"'}],
                "body": {APART: "", "size": int(one.get("size", 0))},
            }
            for one in letter.attachments
        ]
        tree = {
            "mimeType": "multipart/mixed",
            "filename": "",
            "headers": [],
            "body": {"size": 0},
            "parts": [tree, *files],
        }
    _number(tree, "")
    if letter.body_as_attachment:
        for part in _leaves(tree):
            if "data" in part["body"]:
                contents[part["partId"]] = part["body"].pop("data")
                part["body"][APART] = ""
    for part in _leaves(tree):
        if part.get("filename"):
            contents[part["partId"]] = encoded(b"%PDF-1.7 attachment")
    own = {header["name"].lower(): header["value"] for header in tree["headers"]}
    shown = [{"name": name, "value": value} for name, value in headers.items() if name.lower() not in own]
    tree["headers"] = [*shown, *tree["headers"]]
    return tree, contents


def _text_part(kind: str, text: str, charset: str) -> Json:
    content = text.encode(charset, errors="replace")
    return {
        "mimeType": kind,
        "filename": "",
        "headers": [{"name": "Content-Type", "value": f'{kind}; charset="{charset}"'}],
        "body": {"size": len(content), "data": encoded(content)},
    }


def _number(part: Json, place: str) -> None:
    part["partId"] = place
    for number, inner in enumerate(part.get("parts", ())):
        _number(inner, f"{place}.{number}" if place else str(number))


def _leaves(part: Json) -> list[Json]:
    if "parts" not in part:
        return [part]
    return [leaf for inner in part["parts"] for leaf in _leaves(inner)]


def seed_thread(mailbox: Mailbox, moment: float, messages: int, body_bytes: int, labels: Sequence[str]) -> str:
    """Return a conversation that ends at a moment."""
    rng = mailbox.rng
    customer, subject = rng.choice(CUSTOMERS), rng.choice(SUBJECTS)
    thread_id: str | None = None
    for place in range(messages):
        ours = place % 2 == 1
        letter = seeded_letter(
            rng, mailbox.email if ours else customer, customer if ours else mailbox.email, subject, body_bytes
        )
        at = moment - (messages - 1 - place) * 600
        mail = write(mailbox, letter, at, thread_id=thread_id, labels=["SENT"] if ours else labels)
        thread_id = mail.thread_id
    if thread_id is None:
        raise ValueError("a thread has at least one message")
    return thread_id


def seeded_letter(rng: random.Random, sender: str, to: str, subject: str, body_bytes: int) -> Letter:
    lines: list[str] = []
    while sum(map(len, lines)) < body_bytes:
        lines.append(rng.choice(LINES))
    text = "\n".join(lines)
    dice = rng.random()
    if dice < 0.06:
        return Letter(sender, to, subject, html=f"<div><p>{text}</p><br>Best</div>")
    if dice < 0.10:
        return Letter(sender, to, subject, text=f"{text}\nGrüße aus Köln", charset="iso-8859-1")
    if dice < 0.13:
        return Letter(sender, to, subject, text, attachments=({"filename": "quote.pdf", "size": 52_311},))
    if dice < 0.16:
        return Letter(sender, to, subject, text=f"{text}\n\n> {rng.choice(LINES)}\n> and so on")
    if dice < 0.30:
        return Letter(sender, to, subject, text, html=f"<div>{text}</div>")
    return Letter(sender, to, subject, text)
