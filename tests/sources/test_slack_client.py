"""What the Slack client sends and takes: no redirect with a secret, no answer without an end."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import SecretStr

from ingest_assets.errors import AnswerTooLarge, SourceError
from ingest_assets.sources.slack.client import SlackClient, exchange
from ingest_assets.sources.slack.connect import SlackCredential, SlackLogin, SlackOptions, SlackSettings

MIB = 2**20
PAGE = b'{"ok":true,"messages":[%s],"response_metadata":{"next_cursor":""}}'


@contextmanager
def serving(status: int, body: bytes, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Answer every request alike; gives the address, and the requests as they came."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            seen.append(f"{self.path} {self.headers} {self.rfile.read(length).decode()}")
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  (http.server's name)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def login_at(url: str, credential: SlackCredential) -> SlackLogin:
    return SlackLogin(credential=credential, settings=SlackSettings(), options=SlackOptions(api_url=url))


def history(login: SlackLogin) -> list[list[object]]:
    async def read() -> list[list[object]]:
        async with SlackClient.open(login, at_once=1, paced=False, limited=False) as client:
            pages = client.history("C1", oldest="1785000000.000000", latest="1785000001.000000", tries=1)
            return [page async for page in pages]

    return asyncio.run(read())


class TestARedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_gets_neither_a_secret_nor_a_refresh_token(self, status: int) -> None:
        credential = SlackCredential(
            client_id="1.2", client_secret=SecretStr("CANARY-SECRET"), refresh_token=SecretStr("CANARY-REFRESH")
        )
        with (
            serving(200, b'{"ok":true}', {"content-type": "application/json"}) as (elsewhere, stolen),
            serving(status, b"", {"location": elsewhere + "oauth.v2.access"}) as (url, seen),
            pytest.raises(SourceError, match="SLACK_API_URL"),
        ):
            asyncio.run(exchange(login_at(url, credential), "CANARY-REFRESH"))
        assert len(seen) == 1
        assert stolen == []

    @pytest.mark.parametrize("status", [302, 307, 308])
    def test_gets_no_access_token(self, status: int) -> None:
        credential = SlackCredential(token=SecretStr("xoxb-CANARY"))
        with (
            serving(200, PAGE % b"", {"content-type": "application/json"}) as (elsewhere, stolen),
            serving(status, b"", {"location": elsewhere + "conversations.history"}) as (url, _),
            pytest.raises(SourceError),
        ):
            history(login_at(url, credential))
        assert stolen == []


class TestAnAnswer:
    CREDENTIAL = SlackCredential(token=SecretStr("xoxb-1"))

    def test_that_becomes_too_long_is_not_read_to_its_end(self) -> None:
        body = gzip.compress(PAGE % (b" " * 64 * MIB))
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        with serving(200, body, headers) as (url, seen), pytest.raises(AnswerTooLarge):
            history(login_at(url, self.CREDENTIAL))
        assert 1 < len(seen) <= 6  # smaller pages are asked for, and then no more

    @pytest.mark.parametrize(
        "body", [b"[" * 100_000, PAGE % (b"[" * 2000 + b"]" * 2000), b"\xff\xfe", b"", b"null", b'"ok"'], ids=len
    )
    def test_that_is_no_json_object_is_an_error_of_that_request(self, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        with serving(200, body, headers) as (url, _), pytest.raises(SourceError):
            history(login_at(url, self.CREDENTIAL))
