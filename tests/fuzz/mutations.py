"""What is done to a JSON value: keys dropped, doubled, renamed; values retyped, swapped, nested, made huge."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf, nan
from random import Random
from typing import Any

FEW, MANY, LONG = 3, 2_000, 100_000
SMALL = 500  # characters of what is repeated many times
LARGEST = 2_000_000  # characters of an input
DEPTHS = (2, 10, 60, 250, 900)
DEEPEST = 1_000  # levels: what is nested more deeply is no JSON to our parser
SELDOM = 0.02  # of the mutations are of a size that takes time

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40),
    *(1e308, -1e308, 1e-308, inf, -inf, nan),
    *(
        "",
        " ",
        "0",
        "-1",
        "1e400",
        "nan",
        "null",
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "x\ud83d",
        "\x1b]0;x\x07",
    ),
    *(
        "\u202e",
        "\u200d",
        "\ufeff",
        "\u2028",
        "\x85",
        "é",
        "e\u0301",
        "日本",
        "👩‍💻",
        "\U000e0041",
        "İ",
        "ß",
        "١٢٣",
        "Ⅷ",
        "²",
    ),
    *(
        "1795703716.000100",
        "0000000000.000000",
        "99999999999999999999.000000",
        "1795703716",
        "1795703716000",
        "-5.1",
    ),
    *("2026-11-26T15:00:00Z", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    *("2026-11-26", "15:00", "99:99:99:99", "-1:-1", "2026-11-26T15:00:00.1234567890123Z", "2026-W48-4"),
    *("<@U1>", "<@U1|", "<!date^1^{x}|y>", "&amp;lt;", "&#x110000;", "<<>>", "*_~`", "```", ">" * 50, "| a | b |"),
    *(
        "multipart/alternative",
        "text/html",
        "TEXT/Plain; x",
        "../../x",
        "%s%n{0}",
        "'; --",
        "a" * 999,
        "a@b",
        "<a@b>",
    ),
    *([], {}, [None], [[]], [{}], {"": None}, {"\0": 1}, {"id": None}, [1, "a"], {"a": {"b": {"c": []}}}),
)
INSERTED = (
    "\0",
    "\ud800",
    "\n",
    "\r\n",
    "\x1b[2J",
    "<",
    ">",
    "&",
    '"',
    "\\",
    "\u202e",
    "\U0001f600",
    "=",
    "%",
    ":",
    "\t",
)
UNITS = (
    "a",
    "ab ",
    "\n",
    "> ",
    "<",
    "&lt;",
    "<@U1>",
    "é",
    "😀",
    "\0",
    "\u0301",
    "a.",
    "((",
    "=?utf-8?q?",
    " ",
    "@",
    ",",
    "-\n",
)

Slot = tuple[Any, Any]
"""(container, key or index)"""


@contextmanager
def deeply() -> Iterator[None]:
    """Allow ourselves more recursion than what is tested has."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20 * DEEPEST)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def copied(value: Any) -> Any:
    """Copy a value made of plain containers."""
    with deeply():
        return pickle.loads(pickle.dumps(value))  # noqa: S301  (our own)


def slots(value: Any) -> Iterator[Slot]:
    """Walk through the places of a value that hold a value."""
    waiting = [value]
    while waiting:
        container = waiting.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            yield container, key
            if isinstance(container[key], dict | list):
                waiting.append(container[key])


def mutated(rng: Random, corpus: Sequence[Any], *, times: int | None = None) -> Any:
    """Take a payload of the corpus and change it in one place or in several."""
    value = copied(rng.choice(corpus))
    for _time in range(rng.choice((1, 1, 2, 3, 6)) if times is None else times):
        places = list(slots(value))
        if not places:
            return value
        rng.choice(CHANGES)(rng, *rng.choice(places), places)
        if depth(value) > DEEPEST or size(value) > LARGEST:
            return copied(rng.choice(corpus))
    return value


def odd(rng: Random) -> Any:
    """Return a value that no vendor documents."""
    if rng.random() < SELDOM:
        return rng.choice(UNITS) * rng.randrange(1, LONG)
    value = rng.choice(SCALARS)
    return copied(value) if isinstance(value, dict | list) else value


def nested(rng: Random, value: Any) -> Any:
    """Wrap a value in lists or objects."""
    key = rng.choice(("parts", "elements", "blocks", "text", "a", ""))
    as_list, as_object = rng.choice(((True, False), (False, True), (True, True)))
    for _level in range(rng.choice(DEPTHS) if rng.random() < 5 * SELDOM else rng.randrange(1, FEW)):
        value = [value] if as_list else value
        value = {key: value} if as_object else value
    return value


def _retype(rng: Random, container: Any, key: Any, _places: Sequence[Slot]) -> None:
    container[key] = odd(rng)


def _drop(_rng: Random, container: Any, key: Any, _places: Sequence[Slot]) -> None:
    del container[key]


def _double(rng: Random, container: Any, key: Any, _places: Sequence[Slot]) -> None:
    if isinstance(container, list):
        many = rng.random() < SELDOM and size(container[key]) < SMALL
        container[key:key] = [container[key]] * (MANY if many else FEW)
    else:
        container[f"{key}{rng.choice((' ', '2', '_'))}"] = container[key]


def _rename(rng: Random, container: Any, key: Any, places: Sequence[Slot]) -> None:
    if isinstance(container, dict):
        others = [other for _, other in places if isinstance(other, str)]
        name = rng.choice((key.upper(), key.title(), "", "\0", "\ud800", "x" * 700, *others))
        container[name] = container.pop(key)


def _swap(rng: Random, container: Any, key: Any, places: Sequence[Slot]) -> None:
    other, place = rng.choice(places)
    container[key], other[place] = copied(other[place]), copied(container[key])


def _wrap(rng: Random, container: Any, key: Any, _places: Sequence[Slot]) -> None:
    container[key] = nested(rng, container[key])


def _rewrite(rng: Random, container: Any, key: Any, _places: Sequence[Slot]) -> None:
    """Change a text, or a number, a little."""
    value = container[key]
    if isinstance(value, str):
        container[key] = rewritten(rng, value)
    elif isinstance(value, int | float):
        container[key] = rng.choice((-value, value * 1_000, str(value), float(value) / 7, value + 2**62))
    else:
        container[key] = rng.choice((None, "", str(value)[:MANY]))


def rewritten(rng: Random, text: str) -> str:
    """Change a text a little: cut, repeated, turned, with something in it."""
    start, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
    changes: tuple[Callable[[], str], ...] = (
        lambda: text[:start],
        lambda: text[:start] + text[end:],
        lambda: text[:start] + rng.choice(INSERTED) * rng.randrange(1, FEW) + text[start:],
        lambda: text[:end] + text[start:end] * rng.randrange(1, FEW) + text[end:],
        lambda: text[:start] + text[start:end].swapcase() + text[end:],
        lambda: text[:start] + text[start:end][::-1] + text[end:],
        lambda: f" {text}\n",
        lambda: text * (MANY if rng.random() < SELDOM and len(text) < SMALL else FEW),
    )
    return rng.choice(changes)()


CHANGES = (_retype, _retype, _retype, _drop, _double, _rename, _swap, _wrap, _rewrite, _rewrite)


def depth(value: Any) -> int:
    """Count a value's levels."""
    levels, found = 0, [value]
    while found := [inner for outer in found if isinstance(outer, dict | list) for inner in _inside(outer)]:
        levels += 1
    return levels


def _inside(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def size(value: Any) -> int:
    """Estimate how many characters a value has as JSON; nesting costs no recursion."""
    total, waiting = 0, [value]
    while waiting:
        found = waiting.pop()
        total += 2
        if isinstance(found, str | bytes):
            total += len(found)
        elif isinstance(found, dict):
            waiting += found
            waiting += found.values()
        elif isinstance(found, list | tuple):
            waiting += found
        else:
            total += 6
    return total
