"""Parsing that sets aside what it does not understand: it tells where and of which type that is, no value."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from ingest_assets.sources.record import Record
from ingest_assets.sources.redaction import current
from ingest_assets.sources.values import (
    HASH_BYTES,
    UnusableValue,
    dump_json,
    is_id,
    json_type,
    shortened_json,
    storable_text,
)

TRACED_LEVELS = 40  # of JSON: deeper than any field that is read by name
LONGEST_REASON = 1000  # characters
NEEDED: dict[str, str] = {
    "string_type": "text",
    "int_type": "an integer",
    "bool_type": "true or false",
    "datetime_type": "a time",
    "list_type": "a list",
}
"""By pydantic's kind of error."""
UNPARSEABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What parsing a malformed item raises; pydantic's ValidationError is a ValueError."""

Parsed = TypeVar("Parsed", bound=Record)


@dataclass(frozen=True)
class Rejected:
    """An item that could not be parsed or stored: kept as it came, to be looked at and parsed later."""

    record: type[Record]
    payload: Any
    error: str
    external_id: Any = None

    @property
    def key(self) -> str:
        """Return the item's id, or a hash of the item where that is no id."""
        if is_id(self.external_id):
            return str(self.external_id)
        return hashlib.blake2b(dump_json(self.payload), digest_size=HASH_BYTES).hexdigest()

    @property
    def json(self) -> str:
        """Return the payload for JSONB: whatever it is, and of a huge one the beginning."""
        redactor = current.get()
        payload = self.payload if redactor is None else redactor.payload(self.payload)
        return shortened_json(dump_json(payload))


def parsed(
    record: type[Parsed], item: object, parse: Callable[[Any], Parsed], *, external_id: object = None
) -> Parsed | Rejected:
    """Parse an item and serialise its row, or set it aside: the one way from a vendor's item to a record.

    `parse` may be called twice.
    """
    try:
        made = parse(item)
        made.row()
    except UNPARSEABLE as error:
        return rejection(record, item, error, external_id=external_id, parse=parse)
    return made


def rejection(
    record: type[Record],
    payload: object,
    error: Exception,
    *,
    external_id: object = None,
    parse: Callable[[Any], Any] | None = None,
) -> Rejected:
    """Set an item aside. Its reason names the path that was wrong where `parse` can be watched failing again."""
    trail = _Trail()
    if parse is not None:
        try:
            parse(trail.follow(payload, ""))
        except UNPARSEABLE as again:
            error = again
    reason = storable_text(_reason(error, trail, payload))
    return Rejected(record, payload, reason[:LONGEST_REASON], external_id)


def _reason(error: Exception, trail: "_Trail", payload: object) -> str:
    match error:
        case ValidationError():
            return "; ".join(_fault(fault, trail) for fault in error.errors(include_url=False))
        case UnusableValue():
            return str(error)
        case KeyError() if trail.missing is not None:
            return f"{trail.missing}: missing"
    path, value = trail.read[-1] if trail.read else ("the item", payload)
    return f"{path}: {json_type(value)} of an unknown shape ({type(error).__name__})"


def _fault(fault: Any, trail: "_Trail") -> str:
    found, kind, column = fault["input"], fault["type"], ".".join(map(str, fault["loc"]))
    unusable = fault.get("ctx", {}).get("error")
    if isinstance(unusable, UnusableValue):
        found, column, what = unusable.value, unusable.place, unusable.problem
    else:
        what = json_type(found) + (f" where {NEEDED[kind]} is needed" if kind in NEEDED else f" ({kind})")
    paths = {path for path, value in trail.read if value is found}
    path = paths.pop() if len(paths) == 1 else column  # small integers, true and null are the same object anywhere
    return f"{path}: {what}" if path == column else f"{path}: {what} (column {column})"


@dataclass
class _Trail:
    """Which values of an item a parser has read."""

    read: list[tuple[str, Any]] = field(default_factory=list)
    """Paths and values, in order."""
    missing: str | None = None
    """The path of the last field that was asked for and not there."""

    def follow(self, value: object, path: str, levels: int = TRACED_LEVELS) -> Any:
        """Return a copy of a JSON value that notes what is read of it."""
        if not isinstance(value, dict | list) or levels == 0:
            return value
        if isinstance(value, list):
            listed = _List(self.follow(item, f"{path}[{place}]", levels - 1) for place, item in enumerate(value))
            listed.trail, listed.path = self, path
            return listed
        start = f"{path}." if path else ""
        watched = _Object({key: self.follow(item, f"{start}{key}", levels - 1) for key, item in value.items()})
        watched.trail, watched.start = self, start
        return watched


class _Object(dict[Any, Any]):
    """A JSON object under watch."""

    trail: _Trail
    start: str

    def __getitem__(self, key: object) -> Any:
        path = f"{self.start}{key}"
        if key not in self:
            self.trail.missing = path
        value = super().__getitem__(key)
        self.trail.read.append((path, value))
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401  (that would call itself)


class _List(list[Any]):
    """A JSON list under watch."""

    trail: _Trail
    path: str

    def __iter__(self) -> Any:
        for place, value in enumerate(super().__iter__()):
            self.trail.read.append((f"{self.path}[{place}]", value))
            yield value
