"""Findings: made as small as they still are one, shown, and kept as cases that a test replays."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import copied, deeply, size, slots
from tests.fuzz.running import Finding, fault_of, input_of, measured

CASES = Path(__file__).parent / "cases"
MINIMISING_SECONDS = 10.0
SHOWN = 1_500  # characters of an input that are printed
LATIN = "$latin-1"
"""The key of an object that stands for bytes."""
JOINED = "$joined"
"""The key of an object that stands for a text with many equal pieces."""
RUN = re.compile(r"(.{1,40}?)\1{20,}", re.DOTALL)
WORTH_REPEATING = 200  # characters


def shown(finding: Finding) -> str:
    """Describe a finding, with its input made small, and how to keep it."""
    text = _as_json(written(smallest(finding)))
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]} ... ({len(text):,} characters)"
    return (
        f"{finding.parser} {finding.index}: {finding.what}\n  {text}\n"
        f"  make fuzz ONLY={finding.parser} SEED={finding.seed} KEEP={finding.index} AS=its_name"
    )


def keep(parser: str, seed: int, index: int, name: str) -> Path:
    """Write a finding's input, made small, as a case."""
    what = measured(parser, seed, index)[0] or "nothing, today"
    made = written(smallest(Finding(parser, seed, index, what)))
    path = CASES / f"{name}.json"
    case = {"parser": parser, "found": what, "seed": seed, "index": index, "input": made}
    path.write_text(_as_json(case) + "\n")
    return path


def cases() -> Iterator[tuple[str, str, Any]]:
    """Yield (name, parser, input) of each case."""
    for path in sorted(CASES.glob("*.json")):
        with deeply():
            case = json.loads(path.read_text())
            made = read(case["input"])
        yield path.stem, case["parser"], made


def _as_json(value: Any) -> str:
    with deeply():
        return json.dumps(value)


def smallest(finding: Finding) -> Any:
    """Take away from an input what its fault does not need, for a few seconds."""
    value = input_of(finding.parser, finding.seed, finding.index)
    if not finding.what.startswith(("raised", "unstorable")):
        return value  # each look at it would take as long as it is slow

    def still(candidate: Any) -> bool:
        return fault_of(finding.parser, copied(candidate))[0] == finding.what

    deadline = time.monotonic() + MINIMISING_SECONDS
    while time.monotonic() < deadline:
        smaller = next(
            (made for made in _smaller(value, deadline) if size(made) < size(value) and still(made)), None
        )
        if smaller is None:
            break
        value = smaller
    return value


def _smaller(value: Any, deadline: float) -> Iterator[Any]:
    """Yield values that lack something, large things first."""
    if isinstance(value, str | bytes):
        yield from _halves(value)
        return
    places = sorted(range(len(list(slots(value)))), key=lambda place: -size(_at(value, place)))
    for place in places:
        if time.monotonic() > deadline:
            return
        yield _changed(value, place, _dropped)
        found = _at(value, place)
        if isinstance(found, dict | list) and found:
            yield _changed(value, place, lambda container, key: container.__setitem__(key, None))
        elif isinstance(found, str):
            for shorter in _halves(found):
                yield _changed(value, place, lambda container, key, text=shorter: container.__setitem__(key, text))  # type: ignore[misc]


def _halves(text: Any) -> Iterator[Any]:
    for parts in (2, 4, 16, len(text)):
        step = len(text) // parts if parts else 0
        if step:
            for start in range(0, min(len(text), 16 * step), step):
                yield text[:start] + text[start + step :]


def _at(value: Any, place: int) -> Any:
    container, key = list(slots(value))[place]
    return container[key]


def _changed(value: Any, place: int, change: Callable[[Any, Any], None]) -> Any:
    made = copied(value)
    change(*list(slots(made))[place])
    return made


def _dropped(container: Any, key: Any) -> None:
    del container[key]


def written(value: Any) -> Any:
    """Turn an input into what JSON holds: bytes as Latin-1, texts of equal pieces as piece and count."""
    with deeply():
        return _written(value)


def _written(value: Any) -> Any:
    match value:
        case bytes():
            return {LATIN: _written(value.decode("latin-1"))}
        case str() if len(value) > WORTH_REPEATING:
            pieces = list(_pieces(value))
            return value if pieces == [value] else {JOINED: pieces}
        case list():
            return [_written(item) for item in value]
        case dict():
            return {key: _written(item) for key, item in value.items()}
    return value


def _pieces(text: str) -> Iterator[Any]:
    """Cut a text into what is repeated many times, as [piece, count], and what stands between."""
    place = 0
    for found in RUN.finditer(text):
        if found.start() > place:
            yield text[place : found.start()]
        yield [found[1], len(found[0]) // len(found[1])]
        place = found.end()
    if place < len(text):
        yield text[place:]


def read(value: Any) -> Any:
    """Turn a case back into an input."""
    match value:
        case {"$latin-1": text}:
            return str(read(text)).encode("latin-1")
        case {"$joined": list(pieces)}:
            return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)
        case list():
            return [read(item) for item in value]
        case dict():
            return {key: read(item) for key, item in value.items()}
    return value
