"""What it costs to turn mail into text: whole messages, and HTML alone. Nothing is fetched or stored."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

from benchmarks.results import Result
from ingest_assets.sources.gmail.html import text_of_html
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.login import Account

ROUNDS = 3
MESSAGES = 2_000
NEWSLETTERS, SECTIONS = 50, 60
MEGABYTE = 1_000_000

SAID = "Thanks for the call. We would like to begin with twenty seats, if single sign-on is part of it."
QUOTED = "On Mon, 2 Mar 2026 at 10:00, Ann Lee <ann@vendor.example> wrote:"
PLAIN = f"Hi Ann,\n\n{SAID}\n\nBob\n\n{QUOTED}\n\n> " + "\n> ".join([SAID] * 20)
HTML = (
    f'<div dir="ltr">Hi Ann,<div><br></div><div>{SAID}</div><div><br></div><div>Bob</div></div><br>'
    f'<div class="gmail_quote"><div class="gmail_attr">{QUOTED.replace("<", "&lt;")}<br></div>'
    f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{f"<div>{SAID}</div>" * 20}</blockquote></div>'
)
SECTION = (
    '<tr style="border-collapse:collapse"><td align="left" style="padding:20px 20px 0"><table width="100%"'
    ' style="border-collapse:collapse;border-spacing:0px"><tbody><tr><td class="es" style="padding:0">'
    f'<p style="font-family:arial, sans-serif;line-height:21px;color:#333333">{SAID} <strong>{SAID}</strong>'
    f' <a href="https://click.example/{"q" * 200}" style="color:#2CB543">Read more</a></p></td></tr></tbody>'
    "</table></td></tr>"
)
NEWSLETTER = f"<html><head><style>{'p{margin:0}' * 200}</style></head><table>{SECTION * SECTIONS}</table></html>"


def figures() -> Iterator[Result]:
    """Measure in this process, without targets: they differ from machine to machine."""
    messages = [_message(number) for number in range(MESSAGES)]
    account = Account(account_id=1, workspace_id="bench", name="bench", external_id="bench", settings={})

    def parse() -> None:
        for message in messages:
            GmailMessage.from_api(account, message, {}, max_bytes=MEGABYTE).row()

    def convert() -> None:
        for _ in range(NEWSLETTERS):
            text_of_html(NEWSLETTER)

    yield Result("Gmail, mail into rows: messages per second", MESSAGES / _seconds(parse), "messages/s")
    megabytes = NEWSLETTERS * len(NEWSLETTER) / MEGABYTE
    yield Result("Gmail, HTML into text: megabytes per second", megabytes / _seconds(convert), "MB/s")


def _message(number: int) -> dict[str, Any]:
    """Of three messages one is plain, one has HTML beside it, one is HTML alone."""
    plain, html = _part("text/plain", PLAIN), _part("text/html", HTML)
    kinds = [plain, {"mimeType": "multipart/alternative", "parts": [plain, html]}, html]
    headers = [
        {"name": "From", "value": "Bob Roe <bob@acme.example>"},
        {"name": "To", "value": "Ann Lee <ann@vendor.example>, sales@vendor.example"},
        {"name": "Subject", "value": "Re: Offer"},
        {"name": "Message-ID", "value": f"<{number}@acme.example>"},
    ]
    payload = kinds[number % len(kinds)]
    payload["headers"] = [*headers, *payload.get("headers", ())]
    return {
        "id": f"{number:016x}",
        "threadId": f"{number:016x}",
        "labelIds": ["INBOX"],
        "internalDate": "1772442000000",
        "sizeEstimate": len(PLAIN),
        "payload": payload,
    }


def _part(mime_type: str, text: str) -> dict[str, Any]:
    return {
        "partId": "",
        "mimeType": mime_type,
        "filename": "",
        "headers": [{"name": "Content-Type", "value": f"{mime_type}; charset=utf-8"}],
        "body": {"size": len(text), "data": urlsafe_b64encode(text.encode()).rstrip(b"=").decode()},
    }


def _seconds(work: Callable[[], None]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = process_time()
        work()
        best = min(best, process_time() - began)
    return best
