"""What PostgreSQL would refuse of a row, found without a database: thousands of rows per second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Integer, Table, Text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import Rejected
from ingest_assets.storage.record_tables import BOOKKEEPING

LONGEST_ENTRY = (
    2_704 - 32
)  # bytes of a B-tree's entry that was not compressed, without its header and its integers
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
PLAIN: dict[type[Any], type[Any]] = {BigInteger: int, Integer: int, Boolean: bool, BYTEA: bytes}


class Refused(Exception):
    """PostgreSQL would not take a value; the text names the column and not the value."""


def check(record: Record) -> int:
    """Raise Refused where a record's row could not be stored; return its size in bytes."""
    row = record.row().values
    columns = [column for column in record.table.columns if column.name not in BOOKKEEPING]
    values = dict(zip((column.name for column in columns), row, strict=True))
    total = sum(_check(column, values[column.name]) for column in columns)
    for names in _indexed(record.table):
        entry = sum(len(value.encode()) for name in names if isinstance(value := values.get(name), str))
        if entry > LONGEST_ENTRY:
            raise Refused(f"{record.table.name}: an entry of the index on {', '.join(names)} is too long")
    return total


def check_rejected(item: Rejected) -> int:
    """Raise Refused where an item that was set aside could not be stored; return its size in bytes."""
    for name, text in (("item_key", item.key), ("error", item.error)):
        _text(f"rejected_records.{name}", text)
    if len(item.key.encode()) > LONGEST_ENTRY:
        raise Refused("rejected_records.item_key: too long for an index")
    return _json("rejected_records.payload", item.json)


def _indexed(table: Table) -> Iterator[list[str]]:
    yield [column.name for column in table.primary_key]
    for index in table.indexes:
        yield [column.name for column in index.columns]


def _check(column: Column[Any], value: Any) -> int:
    name, kind = f"{column.table.name}.{column.name}", column.type
    if value is None:
        if not column.nullable:
            raise Refused(f"{name}: null")
        return 0
    if isinstance(kind, JSONB):
        return _json(name, value)
    if isinstance(kind, Text):
        return _text(name, value)
    if isinstance(kind, ARRAY):
        return sum(_text(name, text) for text in _typed(name, value, list))
    if isinstance(kind, DateTime):
        _typed(name, value, datetime).astimezone(UTC)
        return 8
    for sql, python in PLAIN.items():
        if isinstance(kind, sql):
            _typed(name, value, python)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Refused(f"{name}: beyond 64 bits")
    return len(value) if isinstance(value, bytes) else 8


def _typed(name: str, value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"{name}: {type(value).__name__}")
    return value


def _text(name: str, value: Any) -> int:
    text: str = _typed(name, value, str)
    if "\0" in text:
        raise Refused(f"{name}: NUL")
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise Refused(f"{name}: a lone surrogate") from None


def _json(name: str, value: Any) -> int:
    length = _text(name, value)
    if NUL.search(value):
        raise Refused(f"{name}: NUL")
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Refused(f"{name}: {str(error).partition(':')[0]}") from None
    return length
