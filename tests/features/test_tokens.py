"""The estimate of tokens against OpenAI's own count, which was taken once, and what a server's usage corrects."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from ingest_assets.features.request import Endpoint
from ingest_assets.features.tokens import tokens

LANGUAGES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("languages.json").read_text())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_estimate_is_near_the_count_in_twelve_languages(language: str) -> None:
    text = LANGUAGES[language]
    assert tokens(text["said"]) == pytest.approx(text["o200k"], rel=0.17)


@pytest.mark.parametrize("text", ["", "." * 100_000, "word " * 50_000, "\ud800" * 1_000, "a\u0301" * 50_000])
def test_it_takes_any_text_in_no_time(text: str) -> None:
    began = perf_counter()
    assert 0 <= tokens(text) <= len(text) + 1
    assert perf_counter() - began < 5


def test_what_a_server_counts_corrects_it_within_bounds() -> None:
    endpoint = Endpoint()
    for _ in range(30):
        endpoint.answered(1_000, 1_500)
    assert endpoint.expected(1_000) == pytest.approx(1_500, rel=0.01)
    for _ in range(30):
        endpoint.answered(1_000, 10)
    assert endpoint.expected(1_000) == pytest.approx(800, rel=0.01)
