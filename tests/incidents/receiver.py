"""Receivers on loopback that behave well or badly, and keep what they got."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Inbox:
    """A webhook's receiver that takes each key once, as Standard Webhooks asks for."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Every request that came in whole."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    holds: Event | None = None
    """Answers wait for it."""
    drips: bool = False
    arrived: Event = field(default_factory=Event)

    @property
    def taken(self) -> list[str]:
        """The keys of the messages that were taken, each once."""
        return list(dict.fromkeys(one["headers"].get("idempotency-key", "") for one in self.requests))

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(one["body"]) for one in self.requests]


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Serve an inbox on loopback."""
    made = Inbox()
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.requests.append({"path": self.path, "headers": headers, "body": body})
            made.arrived.set()
            if made.holds is not None:
                made.holds.wait(60)
            if made.drips:
                self._drip()
                return
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST  # noqa: N815  (as http.server calls it)

        def _drip(self) -> None:
            """Answer a byte at a time, for ever."""
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
            while not over.wait(0.1):
                self.wfile.write(b"x")
                self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that were killed or left."""

    with Server(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret"
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        over.set()
        server.shutdown()


@dataclass
class Mailbox:
    """A mail server that takes everything, or answers a line of our choice."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    drips: bool = False


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Serve SMTP without TLS on loopback."""
    made = Mailbox()
    over = Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline():
                verb = line[:4].decode().strip().upper()
                if verb == "DATA":
                    self.say("354 go on")
                    self.take()
                self.say(made.answers.get(verb, "221 bye" if verb == "QUIT" else "250 ok"))

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.decode())
            made.mails.append("".join(lines))

        def say(self, line: str) -> None:
            if made.drips:
                self.wfile.write(b"220-")
                while not over.wait(0.1):
                    self.wfile.write(b"x")
            self.wfile.write(f"{line}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that left."""

    with Server(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        over.set()
        server.shutdown()
