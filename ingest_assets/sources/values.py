"""What PostgreSQL and JSON can hold: texts, ids, integers, times, and JSON for a JSONB column.

PostgreSQL's text holds neither NUL nor half of a surrogate pair, its bigint 64 bits; its jsonb holds what its text
holds, and neither Infinity nor NaN. orjson writes no more than 254 nested levels.
"""

from datetime import UTC, datetime
from functools import partial
from types import NoneType
from typing import Any

import orjson

LONGEST_TEXT = 2_000_000  # characters: a day of speech without a pause has 1.3 million
LONGEST_ID = 600  # characters, of up to 4 bytes: PostgreSQL's indexes hold values of up to 2,704 bytes
LONGEST_PAYLOAD = 1_000_000  # bytes of an item that is set aside: enough to find out what is wrong with it
HASH_BYTES = 16
DEEPEST = 254  # levels of JSON that orjson writes
CUT_OFF = "(nested too deeply to be kept)"
SMALLEST, LARGEST = -(2**63), 2**63 - 1  # of bigint
JSON_INTEGERS = range(-(2**63), 2**64)  # what orjson writes as a number
LONGEST_INTEGER = 10_000  # bits: Python refuses to write more than 4,300 digits
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Within PostgreSQL's range, and in Python's after a second was added or in whichever time zone a session has."""

TYPES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    NoneType: "null",
}


class UnusableValue(ValueError):
    """A value that does not fit its place. The text tells why, and never the value itself."""

    def __init__(self, problem: str, place: str, value: object) -> None:
        super().__init__(f"{place}: {problem}")
        self.problem, self.place, self.value = problem, place, value


def encodable(text: str) -> bool:
    """Tell whether a text is free of halves of surrogate pairs."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_clean(text: str) -> bool:
    """Tell whether PostgreSQL takes a text as it is."""
    return "\0" not in text and encodable(text)


def is_id(value: object) -> bool:
    """Tell whether a value can be the id of something: text, that PostgreSQL takes and an index holds."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and is_clean(value)


def checked_id(value: object, path: str) -> str:
    """Return an id that stands at a path of an item. Raises UnusableValue for what is none."""
    if not isinstance(value, str):
        raise UnusableValue(f"{json_type(value)} where text is needed", path, value)
    if not is_id(value):
        raise UnusableValue("a text that is no id", path, value)
    return value


def json_type(value: object) -> str:
    """Return the JSON type of a value."""
    return next((name for kind, name in TYPES.items() if isinstance(value, kind)), type(value).__name__)


def storable_text(text: str) -> str:
    """Strip what PostgreSQL text refuses: NUL bytes and lone surrogates."""
    text = text.replace("\0", "")
    return text if encodable(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dump_json(value: object) -> bytes:
    """Serialise for JSONB and for hashing: sorted keys, without what PostgreSQL refuses. It takes any value."""
    try:
        dumped = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(storable(value), option=orjson.OPT_SORT_KEYS)
    if b"\\u0000" in dumped:
        return orjson.dumps(storable(value), option=orjson.OPT_SORT_KEYS)
    return dumped


def storable(value: object, levels: int = DEEPEST) -> Any:
    """Strip from a JSON value what PostgreSQL or orjson refuses; what is nested too deeply is cut off."""
    match value:
        case str():
            return storable_text(value)
        case dict() | list() if levels == 0:
            return CUT_OFF
        case dict():
            kept = {}
            for key, item in value.items():  # no comprehension: each would be another level of Python's stack
                kept[storable_text(str(key))] = storable(item, levels - 1)
            return kept
        case list() | tuple():
            return list(map(partial(storable, levels=levels - 1), value))
        case None | bool() | float() | datetime():
            return value
        case int():
            return _integer(value)
        case _:
            return f"({type(value).__name__})"


def _integer(value: int) -> int | str:
    if value in JSON_INTEGERS:
        return value
    return str(value) if value.bit_length() <= LONGEST_INTEGER else f"(an integer of {value.bit_length()} bits)"


def shortened_json(dumped: bytes) -> str:
    """Return JSON as it is, or of a long one the beginning, as JSON that says so."""
    if len(dumped) <= LONGEST_PAYLOAD:
        return dumped.decode()
    head = dumped[:LONGEST_PAYLOAD].decode(errors="ignore")
    return dump_json({"shortened": f"the first of {len(dumped)} bytes", "head": head}).decode()
