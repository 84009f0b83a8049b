"""Every parser takes what strangers may send: 2,000 mutated payloads each, and every finding of the past."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fuzz.keeping import cases, shown
from tests.fuzz.mutations import size
from tests.fuzz.parsers import PARSERS
from tests.fuzz.running import SECONDS, fault_of, input_of, run

INPUTS, SEED = 2_000, 1
CASES = list(cases())


@pytest.mark.parametrize("parser", PARSERS)
def test_no_input_is_too_much(parser: str) -> None:
    *_, figures = run(parser, INPUTS, SEED)
    assert figures.inputs == INPUTS
    assert not figures.findings, "\n".join(map(shown, figures.findings))


@pytest.mark.parametrize(("parser", "made"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_was_found_once_stays_mended(parser: str, made: Any) -> None:
    began = time.process_time()
    assert fault_of(parser, made)[0] is None
    assert time.process_time() - began < SECONDS


def test_an_input_can_be_made_again() -> None:
    for parser in PARSERS:
        made = [repr(input_of(parser, SEED, index)) for index in range(5)]
        assert made == [repr(input_of(parser, SEED, index)) for index in range(5)]
        assert made != [repr(input_of(parser, SEED + 1, index)) for index in range(5)]
        assert size(input_of(parser, SEED, 0)) >= 0
    assert SECONDS > 0
