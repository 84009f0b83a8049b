"""An OAuth server and API of Fathom's kind that is neither Fathom's nor our simulator: other habits, all allowed.

It knows its app by HTTP Basic or by the body, writes `expires_in` as a text, answers with more than was asked for,
sends `iss` and `scope` along with the code, and keeps a refresh token for ever (RFC 6749, 5.1 and 6; RFC 9207).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

CODE, REFRESH, ACCESS = "a+code/with=signs&more", "the-refresh-token", "the-access-token"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        asked = dict(parse_qsl(path.query))
        if path.path == "/login":
            self.server.redirect_uri = asked["redirect_uri"]
            answer = {
                "iss": "https://issuer.example",
                "scope": asked["scope"],
                "state": asked["state"],
                "session_state": "x",
                "code": CODE,
            }
            self.send_response(303)
            self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(answer)}")
            self.end_headers()
        elif self.headers.get("Authorization") == f"Bearer {ACCESS}":
            self._json(200, {"items": [], "limit": 10, "next_cursor": None})
        else:
            self._json(401, {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given = {name: values[0] for name, values in form.items()}
        kind, _, basic = self.headers.get("Authorization", "").partition(" ")
        in_body = f"{given.get('client_id')}:{given.get('client_secret')}"
        app = b64decode(basic).decode() if kind == "Basic" else in_body
        self.server.asked.append(given["grant_type"])
        right = {
            "authorization_code": {"code": CODE, "redirect_uri": self.server.redirect_uri},
            "refresh_token": {"refresh_token": REFRESH},
        }
        if app != "app:app-secret" or not right[given["grant_type"]].items() <= given.items():
            self._json(400, {"error": "invalid_grant", "error_uri": "https://issuer.example/why"})
            return
        answer = {"access_token": ACCESS, "token_type": "BEARER", "expires_in": "90", "not_before_policy": 0}
        if given["grant_type"] == "authorization_code":
            answer["refresh_token"] = REFRESH
        self._json(200, answer)

    def _json(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.redirect_uri = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def foreign_server() -> Iterator[_Server]:
    with _Server() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
