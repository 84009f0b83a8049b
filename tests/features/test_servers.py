"""Servers other than OpenAI's: what they do not know is shed, and conversations are read all the same.

`python -m pytest tests/features/test_servers.py` compares the table in docs/features.md with what happened, and
writes it anew with WRITE_DOCS=1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.features.refusals import Refusal
from ingest_assets.features.request import Adapting, Endpoint
from tests.features.test_extraction import LINES, Calls
from tests.workbench import Bench

DOCUMENT = Path(__file__).parents[2] / "docs" / "features.md"
BEGIN, END = "<!-- servers: written by tests/features/test_servers.py -->\n", "<!-- /servers -->"
CONTEXT = 3_000  # tokens: a short call fits, a long one does not
SERVERS = {
    "openai": "OpenAI",
    "azure": "Azure OpenAI",
    "vllm": "vLLM",
    "llama.cpp": "llama.cpp",
    "ollama": "Ollama",
    "mistral": "Mistral",
    "deepseek": "DeepSeek",
    "groq": "Groq",
    "gemini": "Gemini (compatible endpoint)",
    "anthropic": "Anthropic (compatible endpoint)",
    "litellm": "LiteLLM",
    "openrouter": "OpenRouter",
}
SHED = {
    "azure": ["store", "max_completion_tokens -> max_tokens"],
    "mistral": ["store", "max_completion_tokens -> max_tokens"],
    "litellm": ["store", "max_completion_tokens -> max_tokens"],
    "deepseek": ["strict schema -> json_object"],
    "groq": ["store", "strict schema -> json_object"],
    "gemini": ["store"],
}


@pytest.fixture
def calls(bench: Bench) -> Calls:
    return Calls(bench)


def row(name: str, endpoint: Endpoint, refused: int) -> str:
    shed = ", ".join(f"`{what}`" for what in endpoint.shape.shed) or "nothing"
    return f"| {name} | {shed} | {refused} | read |"


def refused(calls: Calls) -> int:
    """Count requests that were answered with an error."""
    entries: list[Any] = calls.bench.ask("ledger")["requests"]
    return sum(one["vendor"] == "openai" and one["status"] >= 400 for one in entries)


@pytest.mark.parametrize("dialect", SERVERS)
def test_a_conversation_is_read_at_every_server_we_know(calls: Calls, dialect: str) -> None:
    endpoint = Endpoint()
    calls.add(3)
    calls.key(dialect=dialect)
    report = calls.extract(endpoint, parallel=1)
    assert (report.status, report.extracted, report.remaining) == ("success", 3, 0)
    assert all(row.items and row.summary and row.state == "ready" for row in calls.rows.values())
    assert report.shed == SHED.get(dialect, [])
    documented(row(SERVERS[dialect], endpoint, refused(calls)))


def documented(line: str) -> None:
    """Insist that the document has this line, or write it there."""
    text = DOCUMENT.read_text()
    head, begin, rest = text.partition(BEGIN)
    table, end, tail = rest.partition(END)
    name = line.split("|")[1]
    lines = [old for old in table.splitlines() if old.split("|")[1:2] != [name]]
    if os.environ.get("WRITE_DOCS"):
        order = [f" {one} " for one in SERVERS.values()]
        rows = sorted((*lines[2:], line), key=lambda one: order.index(one.split("|")[1]))
        DOCUMENT.write_text(head + begin + "\n".join((*lines[:2], *rows)) + "\n" + end + tail)
    else:
        assert line in table.splitlines(), "run with WRITE_DOCS=1 and look at what changed"


@pytest.mark.parametrize("dialect", SERVERS)
def test_a_call_that_is_too_long_is_halved_and_holds_up_nobody(calls: Calls, dialect: str) -> None:
    calls.add(6)
    [long] = calls.add(lines=LINES * 40)
    calls.key(dialect=dialect, context_tokens=CONTEXT)
    report = calls.extract(parallel=1)
    assert (report.status, report.extracted, report.remaining) == ("success", 7, 0)
    assert len(calls.rows[long].items) > 6  # of more than one part


def test_what_was_shed_is_remembered_and_no_request_is_refused_again(calls: Calls) -> None:
    endpoint = Endpoint()
    calls.key(dialect="mistral")
    calls.add(2)
    assert calls.extract(endpoint, parallel=1).requests == 4
    calls.add(2)
    assert calls.extract(endpoint, parallel=1).requests == 2


def test_requests_side_by_side_shed_one_thing_at_a_time(calls: Calls) -> None:
    calls.add(8)
    calls.key(dialect="groq")
    report = calls.extract(parallel=8)
    assert (report.status, report.extracted) == ("success", 8)
    assert report.shed == ["store", "strict schema -> json_object"]


OTHER_WORDS: list[tuple[int, Any, str, str]] = [
    (
        400,
        {"error": {"message": "Unsupported parameter: max_completion_tokens"}},
        "max_completion_tokens",
        "max_tokens",
    ),
    (400, {"error": {"message": "Unknown parameter: 'store'.", "param": "store"}}, "store", ""),
    (422, {"detail": [{"loc": ["body", "store"], "msg": "extra fields not permitted"}]}, "store", ""),
    (
        422,
        {
            "object": "error",
            "message": '{"detail":[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs"}]}',
        },
        "store",
        "",
    ),
    (500, {"error": {"message": "Unsupported parameter: 'store'"}}, "store", ""),
    (400, "Invalid parameter: store", "store", ""),
    (400, {"error": {"message": "Structured outputs are not supported by this model"}}, "response_format", ""),
    (400, {"message": "guided_json is not supported", "code": 40001}, "response_format", ""),
    (400, "", "store", ""),  # a server that says nothing: one guess after the other
    (400, {"error": "Bad Request"}, "max_completion_tokens", "max_tokens"),
    (400, {"error": {"message": "Bad Request"}}, "response_format", ""),
]


@pytest.mark.parametrize(("status", "body", "field", "instead"), OTHER_WORDS)
def test_what_a_server_refuses_in_its_own_words_is_shed(
    calls: Calls, status: int, body: Any, field: str, instead: str
) -> None:
    calls.add(2)
    calls.fault("json", status=status, body=body, part=field, times=-1)
    report = calls.extract(parallel=1)
    assert (report.status, report.extracted) == ("success", 2)
    last = calls.bench.ask("ledger")["requests"][-1]["params"]["sent"].split(",")
    assert field not in last
    assert instead in {"", *last}


def test_a_model_without_a_role_for_instructions_gets_them_from_the_user(calls: Calls) -> None:
    calls.add()
    calls.fault("json", status=400, body={"error": {"message": "System role not supported"}})
    report = calls.extract()
    assert (report.extracted, report.shed) == (1, ["system message -> user message"])


def test_a_guess_that_changes_nothing_is_taken_back(calls: Calls) -> None:
    endpoint = Endpoint()
    calls.add(2, titles=["poison", "good"])
    calls.fault("json", status=400, body="", part="poison", times=-1)
    calls.fault("json", status=503, body="", part="good", times=4)
    calls.extract(endpoint, parallel=1)
    assert endpoint.shape.shed == []
    assert calls.extract(endpoint, parallel=1).extracted == 1


def test_a_guess_that_another_answer_refutes_is_taken_back(calls: Calls) -> None:
    endpoint = Endpoint()
    calls.add(4, titles=["a", "b", "c", "poison"])
    calls.fault("json", status=400, body="", part="poison", times=-1)
    assert calls.extract(endpoint, parallel=4).extracted == 3
    assert endpoint.shape.shed == []


def test_a_guess_is_the_refused_requests_alone_until_it_is_answered() -> None:
    endpoint = Endpoint()
    poison = Adapting(endpoint)
    assert poison.refused(Refusal(status=400))
    other = Adapting(endpoint)
    assert (poison.shape.shed, other.shape.shed) == (["store"], [])
    other.answered()
    endpoint.answered(10, 10)
    assert poison.refused(Refusal(status=400))
    assert poison.shape == endpoint.shape == other.shape
    assert not poison.refused(Refusal(status=400))


def test_a_redirect_takes_the_transcript_nowhere(calls: Calls) -> None:
    calls.add()
    calls.fault("json", status=307, body={}, times=-1)
    report = calls.extract()
    assert (report.status, report.requests) == ("failed", 1)
    assert "OPENAI_BASE_URL" in str(report.reason)
