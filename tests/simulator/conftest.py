"""A simulator served from a thread, and a short way to give it orders."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient

from ingest_simulator.app import running

ACME = "xoxb-acme"


class Sim:
    """The control plane, and raw or official clients of the simulated Slack."""

    token = ACME

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=10)
        self.team = ""

    def order(self, path: str, **fields: Any) -> Any:
        answer = self.http.post(f"/_sim/{path}", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, path: str, **params: Any) -> Any:
        answer = self.http.get(f"/_sim/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def acme(self, *channels: Any, token: str = ACME, **fields: Any) -> Any:
        """A workspace whose channels are named or described; later orders of `say` go to it."""
        made = [{"name": channel} if isinstance(channel, str) else channel for channel in channels]
        world = {"channels": made} | fields.pop("world", {})
        answer = self.order("slack/team", token=token, world=world, **fields)
        self.team = answer["team_id"]
        return answer

    def say(self, channel: str, text: str, **fields: Any) -> str:
        return str(self.order("slack/post", team=self.team, channel=channel, text=text, **fields)["ts"])

    def change(self, verb: str, channel: str, ts: str, **fields: Any) -> None:
        self.order(f"slack/{verb}", team=self.team, channel=channel, ts=ts, **fields)

    def fault(self, kind: str, **fields: Any) -> int:
        return int(self.order("fault", vendor="slack", kind=kind, **fields)["id"])

    def call(self, method: str, token: str | None = ACME, **params: Any) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.post(f"/slack/api/{method}", data=params, headers=headers)

    def answer(self, method: str, token: str | None = ACME, **params: Any) -> Any:
        return self.call(method, token, **params).json()

    def error(self, method: str, token: str | None = ACME, **params: Any) -> str:
        answer = self.call(method, token, **params)
        assert answer.status_code == 200
        assert answer.json()["ok"] is False
        return str(answer.json()["error"])

    def walk(self, method: str, **params: Any) -> list[list[dict[str, Any]]]:
        """Every page's items, following the cursor to the end."""
        pages: list[list[dict[str, Any]]] = []
        cursor = ""
        while cursor or not pages:
            answer = self.answer(method, **params, **({"cursor": cursor} if cursor else {}))
            assert answer["ok"], answer
            name = next(key for key in ("messages", "channels", "members") if key in answer)
            pages.append(answer[name])
            cursor = answer["response_metadata"]["next_cursor"]
            assert answer.get("has_more", bool(cursor)) is bool(cursor)
            assert len(pages) < 1000
        return pages

    def slack(self, token: str = ACME) -> WebClient:
        return WebClient(token, base_url=f"{self.url}/slack/api/", timeout=10)


@pytest.fixture(scope="session")
def _server() -> Iterator[Sim]:
    with running() as url:
        sim = Sim(url)
        yield sim
        sim.http.close()


@pytest.fixture
def sim(_server: Sim) -> Sim:
    _server.order("reset")
    return _server
