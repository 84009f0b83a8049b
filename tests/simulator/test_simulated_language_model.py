"""The simulated language model keeps to OpenAI's documents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.conftest import Sim

KEY = {"authorization": "Bearer sk"}
SAID = "[0:00:01] Jane Doe (customer): We lose two hours a day. It is far too slow for us."
SCHEMA = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        }
    },
    "required": ["items"],
    "additionalProperties": False,
}


@pytest.fixture
def model(sim: Sim) -> httpx.Client:
    order(sim.http, "key", key="sk")
    return sim.http


def order(sim: httpx.Client, verb: str, **fields: Any) -> None:
    sim.post(f"/_sim/openai/{verb}", json=fields).raise_for_status()


def ask(sim: httpx.Client, text: str = SAID, **more: Any) -> httpx.Response:
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": text}], **more}
    return sim.post("/openai/v1/chat/completions", json=body, headers=KEY)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}


def test_its_normal_answers_quote_sentences_that_it_was_sent_and_repeat(model: httpx.Client) -> None:
    first, second = ask(model).json(), ask(model).json()
    choice = first["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "We lose two hours a day." in choice["message"]["content"]
    assert choice["message"] == second["choices"][0]["message"]
    assert first["usage"]["total_tokens"] == first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"]


def test_it_can_be_told_to_invent_quotes(model: httpx.Client) -> None:
    order(model, "invent", key="sk")
    assert "cancel everything" in ask(model).text
    assert "cancel everything" not in ask(model).text


def test_scripted_answers_come_in_order_after_those_skipped(model: httpx.Client) -> None:
    order(model, "say", key="sk", content="odd", skip=1, finish_reason="length")
    assert ask(model).json()["choices"][0]["finish_reason"] == "stop"
    assert ask(model).json()["choices"][0]["message"]["content"] == "odd"


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"model": "other"}, 404, "model_not_found"),
        ({"text": "x" * 600_000}, 400, "context_length_exceeded"),
        ({"response_format": strict({**SCHEMA, "required": []})}, 400, None),
        ({"response_format": strict({**SCHEMA, "additionalProperties": True})}, 400, None),
        ({"response_format": {"type": "json_object"}}, 400, None),
    ],
)
def test_a_request_that_openai_refuses_is_refused(
    model: httpx.Client, given: dict[str, Any], status: int, code: str | None
) -> None:
    answer = ask(model, **given)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_strict_schema_is_accepted_unless_the_server_knows_none(model: httpx.Client) -> None:
    assert ask(model, response_format=strict(SCHEMA)).status_code == 200
    order(model, "key", key="sk", knows_schemas=False)
    refused = ask(model, response_format=strict(SCHEMA))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "response_format")


def test_a_revoked_or_unknown_key_is_401(model: httpx.Client) -> None:
    order(model, "key", key="sk", revoked=True)
    assert ask(model).status_code == 401


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"kind": "ratelimit", "retry_after": 300}, 429, "requests"),
        ({"kind": "error", "error": "insufficient_quota"}, 429, "insufficient_quota"),
    ],
)
def test_faults_have_the_documented_bodies(
    model: httpx.Client, fault: dict[str, Any], status: int, kind: str
) -> None:
    model.post("/_sim/fault", json={"vendor": "openai", **fault}).raise_for_status()
    answer = ask(model)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.headers.get("retry-after") == ("300" if kind == "requests" else None)
    assert ask(model).status_code == 200


def test_the_ledger_holds_no_message(model: httpx.Client) -> None:
    ask(model)
    assert "two hours" not in model.get("/_sim/ledger").text
