"""What happens in an episode of the soup: a list of steps that a seed makes, and that can be shortened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ingest_assets.sources import SOURCES

NAMES = tuple(source.name for source in SOURCES)
LENGTH = 40  # steps of an episode
NUMBERS = 8  # that a step has to choose with
WEIGHTS = {
    "live": 40,
    "sync": 18,
    "sync amid something": 15,
    "kill": 3,
    "fault": 9,
    "heal": 5,
    "login": 3,
    "time": 5,
    "skew": 2,
}
"""Kinds of steps, and how many of 100 are of each."""


@dataclass(frozen=True)
class Step:
    """One step: what its numbers choose depends on what is there when it comes."""

    kind: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(map(str, self.numbers))}"


def steps_of(source: str, seed: int, length: int = LENGTH) -> list[Step]:
    """Make an episode's steps; the same three always make the same ones."""
    rng = Random(f"{source}/{seed}")  # noqa: S311  (repeatable on purpose)
    kinds = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length)
    return [Step(kind, tuple(rng.randrange(1000) for _ in range(NUMBERS))) for kind in kinds]


def without(steps: Sequence[Step], first: int, length: int) -> list[Step]:
    return [*steps[:first], *steps[first + length :]]
