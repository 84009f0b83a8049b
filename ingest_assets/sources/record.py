"""Records: typed items that become rows; the one door through which a vendor's values reach a column."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, ClassVar, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, ValidationError
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Table, Text
from sqlalchemy.types import TypeEngine

from ingest_assets.storage.schema import record_table, timestamp

COLUMN_TYPES: dict[Any, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    bool: Boolean(),
    datetime: timestamp,
    list[str]: ARRAY(Text()),
}
SERVER_DEFAULTS: dict[Any, str] = {bool: "false", list[str]: "{}"}
"""What rows hold in a column that was added after they were stored."""
LONGEST_ID = 600  # characters, of up to 4 bytes: PostgreSQL's indexes hold values of up to 2,704 bytes
HASH_BYTES = 16


class Record(BaseModel):
    """One typed item and the JSON it was parsed from. The fields of a subclass are the columns of its table."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)
    table: ClassVar[Table]
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = ()
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Top-level fields of `raw` that differ from read to read and mean no change."""
    telling: ClassVar[tuple[str, ...]] = ()
    """Columns of text that are not taken from `raw` and whose change is a change of the record."""
    parser: ClassVar[int] = 1
    """Higher in each release that derives other columns from the same `raw`."""
    shared: ClassVar[bool] = False
    """Several accounts of a workspace may see the same item: it is stored once."""

    workspace_id: str
    account_id: int
    external_id: str = Field(max_length=LONGEST_ID)
    raw: SkipValidation[dict[str, Any]]  # what was parsed: checking it again would copy it
    deleted: bool = False

    own_fields: ClassVar[tuple[str, ...]] = ()
    """The columns that a class adds to the envelope, in order."""
    _own_values: ClassVar[Callable[[dict[str, Any]], tuple[Any, ...]]]

    def __init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # pydantic hands `table` to the hook below, once fields are known

    @classmethod
    def __pydantic_init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.own_fields = tuple(name for name in cls.model_fields if name not in Record.model_fields)
        cls._own_values = itemgetter(*cls.own_fields, "external_id")  # with one name it would give no tuple
        if table is not None:
            cls.table = record_table(
                table, [_column(cls, name) for name in cls.own_fields], cls.indexes, shared=cls.shared
            )

    def row(self) -> tuple[Any, ...]:
        """Give the values in the order of `COPY`: envelope, own columns, parser, raw, content_hash, deleted."""
        raw = dump_json(self.raw)
        hashed = raw
        if not self.volatile.isdisjoint(self.raw):
            hashed = dump_json({k: v for k, v in self.raw.items() if k not in self.volatile})
        digest = hashlib.blake2b(hashed, digest_size=HASH_BYTES)
        for name in self.telling:
            told = getattr(self, name)
            digest.update(b"\0" if told is None else b"\1" + told.encode())
        return (
            self.workspace_id,
            self.account_id,
            self.external_id,
            *type(self)._own_values(self.__dict__)[:-1],
            self.parser,
            raw.decode(),
            digest.digest(),
            self.deleted,
        )


class ConversationRecord(Record):
    """A record of something that was said, with what every source can tell about it."""

    conversation_id: str
    occurred_at: datetime
    text: str | None
    text_shortened: bool = Field(False, description="a bound cut the text, or took the layout of its markup away")


def _column(record: type[Record], name: str) -> Column[Any]:
    info = record.model_fields[name]
    annotation = info.annotation
    optional = isinstance(annotation, UnionType) and NoneType in get_args(annotation)
    plain = next(t for t in get_args(annotation) if t is not NoneType) if optional else annotation
    default = None if info.is_required() or optional else SERVER_DEFAULTS[plain]
    return Column(name, COLUMN_TYPES[plain], nullable=optional, server_default=default, comment=info.description)


def dump_json(value: Any) -> bytes:
    """Serialise for JSONB and for hashing: sorted keys, without what PostgreSQL refuses (NUL, lone surrogates)."""
    try:
        dumped = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates; integers beyond 64 bits do not come from JSON ids, which are strings
        return orjson.dumps(storable(value), option=orjson.OPT_SORT_KEYS)
    if b"\\u0000" in dumped:
        return orjson.dumps(storable(value), option=orjson.OPT_SORT_KEYS)
    return dumped


def storable(value: Any) -> Any:
    """Strip from a JSON value what PostgreSQL refuses."""
    match value:
        case str():
            return storable_text(value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case int() if value.bit_length() > 63:
            return str(value)
        case _:
            return value


def storable_text(text: str) -> str:
    """Strip what PostgreSQL text refuses: NUL bytes and lone surrogates."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


@dataclass(frozen=True)
class Rejected:
    """An item that could not be parsed: kept as it came, so that it can be looked at and parsed later."""

    record: type[Record]
    payload: Any
    error: str
    external_id: str | None = None

    @property
    def key(self) -> str:
        if self.external_id and len(self.external_id) <= LONGEST_ID:
            return self.external_id
        return hashlib.blake2b(dump_json(self.payload), digest_size=HASH_BYTES).hexdigest()


def rejection(record: type[Record], payload: Any, error: Exception, *, external_id: str | None) -> Rejected:
    """Say which field was wrong and how, never what it held."""
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        what = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    elif isinstance(error, KeyError):
        what = f"the field {error.args[0]!r} is missing"
    else:
        what = f"the item has an unknown shape ({type(error).__name__})"
    return Rejected(record, payload, what, external_id)


UNPARSEABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What parsing a malformed item raises; pydantic's ValidationError is a ValueError."""
