"""Read the values of a vendor's JSON as what they should be; None, or empty, where they are something else.

For what an item can do without: one odd element costs that element, never the item.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

Json = dict[str, Any]
"""An object of a vendor's JSON; nothing is known of what it holds."""
JsonView = Mapping[str, Any]
"""The same where it is only read."""

LARGEST = 2**63  # of PostgreSQL's bigint
LONGEST = 19  # digits that it may have
FLAGS = {"true": True, "false": False, "1": True, "0": False}


def text_of(value: object) -> str | None:
    """Return a text, or a number in digits."""
    if type(value) is str:  # nearly always
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole_of(value: object) -> int | None:
    """Return a whole number, also one that was written as a text or with a fraction, which is cut off."""
    if isinstance(value, str) and len(value) <= LONGEST and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if -LARGEST <= value < LARGEST else None


def flag_of(value: object) -> bool | None:
    """Return a truth value, also one that was written as a text or as 1 and 0."""
    return value if isinstance(value, bool) else FLAGS.get((text_of(value) or "").strip().lower())


def mapping_of(value: object) -> JsonView:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def mappings_in(value: object) -> list[JsonView]:
    """Return the JSON objects of a list, without whatever else is in it."""
    return [item for item in list_of(value) if isinstance(item, dict)]
