"""Mails whose lines are labelled, and how well a program tells what is new in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NEW, NOT_NEW = "+", "-"


@dataclass(frozen=True)
class Reply:
    """A mail, and of each of its lines whether it is new, not new, or either."""

    name: str
    lines: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines).strip("\n")


@dataclass(frozen=True)
class Score:
    """How many lines were kept and should be, were kept and should not, and were lost."""

    right: int
    kept: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def precision(self) -> float:
        return self.right / (self.right + len(self.kept))

    @property
    def recall(self) -> float:
        return self.right / (self.right + len(self.lost))


def replies() -> Iterator[Reply]:
    """Read the file beside this one, which says what its marks mean."""
    text = Path(__file__).with_name("mails.txt").read_text(encoding="utf-8")
    for block in text.split("\n== ")[1:]:
        name, *lines = block.split("\n")
        yield Reply(name, tuple((line[:1], line[2:]) for line in lines))


def score(new_text_of: Callable[[str], str]) -> Score:
    """Compare line by line what a program finds new."""
    right, kept, lost = 0, list[str](), list[str]()
    for reply in replies():
        found = Counter(line.strip() for line in new_text_of(reply.text).split("\n"))
        for mark, line in reply.lines:
            is_there = bool(line.strip()) and found[line.strip()] > 0
            found[line.strip()] -= is_there
            if mark == NEW and is_there:
                right += 1
            elif mark == NEW and line.strip():
                lost.append(f"{reply.name}: {line}")
            elif mark == NOT_NEW and is_there:
                kept.append(f"{reply.name}: {line}")
    return Score(right, tuple(kept), tuple(lost))
