"""What a check comes to."""

from dataclasses import dataclass
from typing import Final

CANNOT: Final = "cannot"  # no command can do its work
PROBLEM: Final = "problem"
NOTE: Final = "note"  # worth knowing, or not known
FINE: Final = "fine"
LEVELS: Final = (CANNOT, PROBLEM, NOTE, FINE)
"""From the worst one on."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence, and what mends it."""

    level: str
    sentence: str
    command: str | None = None
    """Mends it when it is run as it stands."""
    action: str | None = None
    """What a person has to do where no command can."""
    check: str = ""
    """The name of the check that found it."""


def fine(sentence: str) -> Finding:
    return Finding(level=FINE, sentence=sentence)


def note(sentence: str, *, command: str | None = None, action: str | None = None) -> Finding:
    return Finding(level=NOTE, sentence=sentence, command=command, action=action)


def problem(sentence: str, *, command: str | None = None, action: str | None = None) -> Finding:
    return Finding(level=PROBLEM, sentence=sentence, command=command, action=action)


def cannot(sentence: str, *, command: str | None = None, action: str | None = None) -> Finding:
    return Finding(level=CANNOT, sentence=sentence, command=command, action=action)


def many(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
