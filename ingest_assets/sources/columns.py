"""Which column a record's field becomes, and what of a vendor's values fits it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Text
from sqlalchemy.types import TypeEngine

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.redaction import current
from ingest_assets.sources.values import (
    EARLIEST,
    LARGEST,
    LATEST,
    LONGEST_ID,
    LONGEST_TEXT,
    SMALLEST,
    UnusableValue,
    is_id,
    storable_text,
)
from ingest_assets.storage.schema import timestamp

Id = Annotated[str, "id"]
"""What tells one thing from another; it is never changed, as two ids could become one."""

COLUMN_TYPES: dict[Any, TypeEngine[Any]] = {
    str: Text(),
    Id: Text(),
    int: BigInteger(),
    bool: Boolean(),
    datetime: timestamp,
    list[str]: ARRAY(Text()),
}
SERVER_DEFAULTS: dict[Any, str] = {bool: "false", list[str]: "{}"}
"""What rows hold in a column that was added after they were stored."""


@dataclass(frozen=True)
class Kind:
    """What a field's column holds."""

    plain: Any
    """The type, without None."""
    optional: bool
    default: str | None
    comment: str | None

    @classmethod
    def of(cls, info: FieldInfo) -> "Kind":
        annotation: Any = Id if info.metadata and info.annotation is str else info.annotation
        optional = get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)
        plain = next(t for t in get_args(annotation) if t is not NoneType) if optional else annotation
        default = None if info.is_required() or optional else SERVER_DEFAULTS[plain]
        return cls(plain, optional, default, info.description)

    def column(self, name: str) -> Column[Any]:
        return Column(
            name,
            COLUMN_TYPES[self.plain],
            nullable=self.optional,
            server_default=self.default,
            comment=self.comment,
        )

    def fitting(self, name: str, value: object) -> Any:
        """Return what the column holds of a value, None where it cannot and may be None. Raises UnusableValue."""
        problem = None
        match value:
            case list():
                return [storable_text(item[:LONGEST_TEXT]) if isinstance(item, str) else item for item in value]
            case str() if self.plain is str:
                return storable_text(value[:LONGEST_TEXT])
            case str() if self.plain is Id and not is_id(value):
                problem = "a text that is no id"
            case int() if self.plain is int and not SMALLEST <= value <= LARGEST:
                problem = "an integer beyond 64 bits"
            case datetime() if self.plain is datetime and not EARLIEST <= value <= LATEST:
                problem = "a time out of PostgreSQL's range"
        if problem is None:
            return value
        if self.optional:
            return None
        raise UnusableValue(problem, name, value)


class Door:
    """What the values of a record pass through on their way to its columns."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._words = tuple(name for name, kind in kinds.items() if kind.plain in (str, Id))
        self._texts = tuple(name for name, kind in kinds.items() if kind.plain in (str, list[str]))
        self._others = tuple(name for name, kind in kinds.items() if kind.plain in (int, datetime, list[str]))

    def clean(self, values: Json) -> None:
        """Replace what does not fit; what fits, which is nearly all, costs a look. Raises UnusableValue."""
        value: Any
        for name in self._words:
            value = values.get(name)
            if value is None or (
                value.__class__ is str and 0 < len(value) <= LONGEST_ID and value.isascii() and "\0" not in value
            ):
                continue
            values[name] = self._kinds[name].fitting(name, value)
            if "text_shortened" in self._kinds and isinstance(value, str) and len(value) > LONGEST_TEXT:
                values["text_shortened"] = True
        for name in self._others:
            value = values.get(name)
            if value.__class__ is int:
                fits = SMALLEST <= value <= LARGEST
            elif value.__class__ is datetime:
                fits = EARLIEST <= value <= LATEST
            else:
                fits = not value
            if not fits:
                values[name] = self._kinds[name].fitting(name, value)
        if (redactor := current.get()) is not None:
            redactor.record(values, self._texts)
