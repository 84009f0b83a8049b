"""Which fault a step's numbers choose: every kind, on every method of a vendor's, once, often or for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.proof.worlds import picked

STATUSES = (500, 503, 429, 401, 403, 502)
BODIES: tuple[Any, ...] = (
    None,
    [],
    {},
    "text",
    7,
    {"ok": True},
    {"records": 1},
    {"items": None},
    {"threads": {}},
    {"history": 1},
)
"""Answers that are JSON and say nothing."""
KINDS = (
    "status",
    "status",
    "error",
    "error",
    "error",
    "drop",
    "truncate",
    "html",
    "json",
    "raw",
    "ratelimit",
    "ratelimit",
    "invalid_cursor",
    "invalid_cursor",
    "repeat_cursor",
    "garbage_page",
    "missing",
)
FOREVER = -1


def fault_of(
    source: str, methods: Mapping[str, Sequence[str]], numbers: Sequence[int], *, every_method: bool
) -> dict[str, Any]:
    """Return a fault's fields."""
    kind, method = picked(KINDS, numbers[0]), picked([*methods, *(["*"] if every_method else [])], numbers[1])
    fields: dict[str, Any] = {
        "kind": kind,
        "method": method,
        "times": picked((1, 1, 2, 4, 8, FOREVER), numbers[2]),
        "skip": picked((0, 0, 1, 2, 5), numbers[3]),
        "every": picked((1, 1, 1, 2), numbers[4]),
        "retry_after": picked((1, 20, 400), numbers[5]),
    }
    if kind == "status":
        fields["status"] = picked(STATUSES, numbers[5])
    if kind == "error":
        codes = methods.get(method) or [code for some in methods.values() for code in some]
        fields |= {"error": picked(codes, numbers[5]), "status": picked((500, 403, 400, 401), numbers[4])}
    if kind in ("json", "raw"):
        fields["body"] = picked(BODIES, numbers[5])
    if source == "fathom" and kind == "error":
        fields["status"] = picked(STATUSES, numbers[4])
    return fields
