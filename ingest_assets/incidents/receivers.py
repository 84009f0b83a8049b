"""Who is told: a Slack webhook, a webhook that is signed, a mail server.

What holds when a try ends without an answer, and the message is sent again:
webhook  Standard Webhooks: `webhook-id` and `Idempotency-Key` are the same for each try; a receiver that keeps
         them takes the message once
mail     the same `Message-ID`: mail servers and mail programs that know it show the mail once
slack    an incoming webhook has no such key: the message may appear twice, and then says so

An answer is told by status or by a table of errors, and no text of a receiver's or of an exception: those may
hold the address, which is a secret.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from http import HTTPStatus
from socket import SHUT_RDWR
from threading import Event, Thread
from typing import Any, NoReturn, Protocol

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from ingest_assets.incidents.message import NO_ANSWER, Message
from ingest_assets.incidents.settings import ENCODED, AlertSettings

LARGEST_ANSWER = 64 * 1024  # bytes; a webhook's is a line
LONGEST_PAUSE = timedelta(hours=1)  # that a receiver may ask for
ABOUT_THE_MESSAGE = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
SILENT = logging.getLogger(f"{__name__}.slack_sdk")
SILENT.setLevel(logging.ERROR)  # at DEBUG it would write the address
SILENT.propagate = False


@dataclass(frozen=True)
class Answer:
    """What became of one try."""

    said: str
    accepted: bool = False
    retry_after: timedelta | None = None
    of_message: bool = False
    """It is about this message; others may be accepted."""


class Receiver(Protocol):
    """Whoever takes messages; `send` raises TimeoutError, OSError or one of its library's errors."""

    @property
    def name(self) -> str: ...

    async def send(self, message: Message) -> Answer: ...


class Refused(Exception):
    """An answer that is not followed or not read on."""


@dataclass(frozen=True)
class Webhook:
    """An address that JSON is posted to, signed as Standard Webhooks has it."""

    settings: AlertSettings
    name: str = "webhook"

    async def send(self, message: Message) -> Answer:
        url, body = _secret(self.settings.webhook_url), message.json
        async with (
            aiohttp.ClientSession(timeout=_timeout(self.settings), trust_env=True) as session,
            session.post(
                url, data=body, headers=self._headers(message.key, body), allow_redirects=False
            ) as answer,
        ):
            return answer_of(answer.status, answer.headers)

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        sent_at = str(int(datetime.now(UTC).timestamp()))
        headers = {"content-type": "application/json", "webhook-id": key, "webhook-timestamp": sent_at}
        if self.settings.webhook_key is not None:
            headers["webhook-signature"] = signature(_secret(self.settings.webhook_key), key, sent_at, body)
        return headers | {"Idempotency-Key": key}


def signature(secret: str, key: str, sent_at: str, body: bytes) -> str:
    """Return `v1,` and the HMAC-SHA256 in base64; a secret that begins with `whsec_` is base64 itself."""
    raw = base64.b64decode(secret.removeprefix(ENCODED)) if secret.startswith(ENCODED) else secret.encode()
    digest = hmac.new(raw, b".".join([key.encode(), sent_at.encode(), body]), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


@dataclass(frozen=True)
class Slack:
    """A Slack incoming webhook."""

    settings: AlertSettings
    name: str = "slack"

    async def send(self, message: Message) -> Answer:
        again = "Perhaps sent before, without an answer.\n" if message.repeated else ""
        text = f"{again}{message.text}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        async with aiohttp.ClientSession(
            timeout=_timeout(self.settings), trust_env=True, trace_configs=[_bounds()]
        ) as session:
            client = AsyncWebhookClient(
                _secret(self.settings.slack_url), session=session, logger=SILENT, retry_handlers=[]
            )
            answer = await client.send(text=text, unfurl_links=False)
        return answer_of(answer.status_code, answer.headers)


@dataclass(frozen=True)
class Mail:
    """A mail server."""

    settings: AlertSettings
    name: str = "mail"

    async def send(self, message: Message) -> Answer:
        return await asyncio.to_thread(self._send, message)

    def _send(self, message: Message) -> Answer:
        settings = self.settings
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.title, settings.mail_from, settings.mail_to
        domain = str(settings.mail_from).strip().rpartition("@")[2]
        mail["Message-ID"] = f"<{message.key}@{domain}>"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Auto-Submitted"] = "auto-generated"  # an absence notice must not answer
        mail.set_content(message.text)
        with self._session() as smtp:
            refused = smtp.send_message(mail)
        return Answer(f"accepted, but {len(refused)} refused" if refused else "accepted", accepted=True)

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Connect and log in; the whole ends in time, however slowly the server speaks."""
        settings, timeout = self.settings, self.settings.timeout_seconds
        context = ssl.create_default_context()
        host, port = str(settings.smtp_host), settings.smtp_port
        if settings.smtp_security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(timeout=timeout, context=context)
        else:
            smtp = smtplib.SMTP(timeout=timeout)
        smtp._host = host  # type: ignore[attr-defined]  # what TLS checks the certificate for
        done = Event()
        Thread(target=_cut_after, args=(smtp, timeout, done), name="mail's end", daemon=True).start()
        try:
            smtp.connect(host, port)
            if settings.smtp_security == "starttls":
                smtp.starttls(context=context)
            if settings.smtp_user is not None:
                smtp.login(settings.smtp_user, _secret(settings.smtp_password))
            yield smtp
        finally:
            done.set()
            smtp.close()


def _cut_after(smtp: smtplib.SMTP, seconds: float, done: Event) -> None:
    """End a connection that is late: smtplib's timeout is for each read of some bytes."""
    while not done.wait(seconds):
        if smtp.sock is not None:
            with suppress(OSError):  # it ended meanwhile
                smtp.sock.shutdown(SHUT_RDWR)
        seconds = 0.5


def receivers_of(settings: AlertSettings) -> list[Receiver]:
    """Return the receivers that are set."""
    found: list[tuple[Any, Callable[[AlertSettings], Receiver]]] = [
        (settings.slack_url, Slack),
        (settings.webhook_url, Webhook),
        (settings.smtp_host, Mail),
    ]
    return [make(settings) for is_set, make in found if is_set]


FAULTS: tuple[tuple[type[Exception], Callable[[Any], str]], ...] = (
    (TimeoutError, lambda _: NO_ANSWER),
    (smtplib.SMTPAuthenticationError, lambda error: f"refuses the login (SMTP {error.smtp_code})"),
    (smtplib.SMTPRecipientsRefused, lambda _: "refuses all recipients"),
    (smtplib.SMTPServerDisconnected, lambda _: "ended the connection, or gave no answer in time"),
    (smtplib.SMTPResponseException, lambda error: f"SMTP {error.smtp_code}"),
    (smtplib.SMTPNotSupportedError, lambda _: "does not know STARTTLS, logins or this address"),
    (smtplib.SMTPException, lambda _: "does not speak SMTP as we do"),
    (ssl.SSLCertVerificationError, lambda _: "its certificate is not trusted"),
    (aiohttp.ClientConnectorCertificateError, lambda _: "its certificate is not trusted"),
    (ssl.SSLError, lambda _: "TLS failed"),
    (aiohttp.ClientConnectorSSLError, lambda _: "TLS failed"),
    (aiohttp.ClientConnectorError, lambda _: "cannot be reached"),
    (aiohttp.ClientError, lambda _: "ended the connection, or answers no HTTP"),
    (Refused, str),
    (UnicodeError, lambda _: "its address cannot be used"),
    (ValueError, lambda _: "its address cannot be used"),
    (OSError, lambda _: "cannot be reached"),
)
"""What an exception of a try means; the first that fits."""


async def attempt(receiver: Receiver, message: Message, seconds: float) -> Answer:
    """Send once, in bounded time, and say what became of it."""
    try:
        async with asyncio.timeout(seconds + 1):  # what the receiver's own limit leaves out, as names to resolve
            return await receiver.send(message)
    except tuple(fault for fault, _ in FAULTS) as error:
        return Answer(next(said(error) for fault, said in FAULTS if isinstance(error, fault)))


def answer_of(status: int, headers: Mapping[str, str]) -> Answer:
    """Read the answer to what was posted."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(f"HTTP {status}", accepted=True)
    if status < HTTPStatus.BAD_REQUEST:
        return Answer(f"HTTP {status}: a redirect, which is not followed")
    seconds = headers.get("Retry-After", "")
    given = (
        timedelta(seconds=int(seconds)) if seconds.isascii() and seconds.isdigit() and len(seconds) < 8 else None
    )
    return Answer(
        f"HTTP {status}",
        retry_after=None if given is None else min(given, LONGEST_PAUSE),
        of_message=status in ABOUT_THE_MESSAGE,
    )


def _bounds() -> aiohttp.TraceConfig:
    """Stop where slack_sdk would follow a redirect or read on without end."""
    traced = aiohttp.TraceConfig()
    read = 0

    async def redirected(*_: object) -> NoReturn:
        raise Refused("a redirect, which is not followed")

    async def received(
        _session: object, _context: object, chunk: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        nonlocal read
        read += len(chunk.chunk)
        if read > LARGEST_ANSWER:
            raise Refused("an answer without end")

    traced.on_request_redirect.append(redirected)
    traced.on_response_chunk_received.append(received)
    return traced


def _timeout(settings: AlertSettings) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=settings.timeout_seconds)


def _secret(value: Any) -> str:
    return str(value.get_secret_value()) if value is not None else ""
