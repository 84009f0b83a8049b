"""Episodes with fixed seeds: whatever happens, no claim of a sync is untrue, and in the end all is stored."""

from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.databases import Databases
from tests.proof.soup import Soup
from tests.proof.steps import NAMES, steps_of

SEEDS = range(1, 5)


@pytest.mark.parametrize("source", NAMES)
def test_no_claim_is_untrue(
    sim: httpx.Client, databases: Databases, process: subprocess.Popen[str], source: str
) -> None:
    soup = Soup(sim, databases, process)
    for seed in SEEDS:
        failure = soup.seeded(source, seed)
        assert failure is None, str(soup.shortened(failure))
    assert soup.tally.successes > len(SEEDS)


def test_a_seed_makes_the_same_steps_again() -> None:
    assert steps_of("slack", 1) == steps_of("slack", 1) != steps_of("slack", 2)
