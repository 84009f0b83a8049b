"""Which column a record's field becomes, and what of a vendor's values fits it."""

from dataclasses import dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import StringConstraints
from pydantic.fields import FieldInfo
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Text
from sqlalchemy.types import TypeEngine

from ingest_assets.sources.values import (
    BIGINT,
    EARLIEST,
    LATEST,
    LONGEST_ID,
    LONGEST_TEXT,
    UnusableValue,
    is_id,
    storable_text,
)
from ingest_assets.storage.schema import timestamp

Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00]*$")]
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

    @property
    def bounded(self) -> bool:
        """Whether values of the right type may not fit; of ids that must be there pydantic checks that."""
        return self.plain in (int, datetime, list[str]) or (self.plain is Id and self.optional)

    def fitting(self, name: str, value: Any) -> Any:
        """Give a value that fits the column, or None where there may be none. Raises UnusableValue."""
        problem = None
        match value:
            case list():
                return [storable_text(one[:LONGEST_TEXT]) if isinstance(one, str) else one for one in value]
            case str() if self.plain is Id and not is_id(value):
                problem = "a text that is no id"
            case int() if self.plain is int and value not in BIGINT:
                problem = "an integer beyond 64 bits"
            case datetime() if self.plain is datetime and not EARLIEST <= value <= LATEST:
                problem = "a time out of PostgreSQL's range"
        if problem is None:
            return value
        if self.optional:
            return None
        raise UnusableValue(f"{name}: {problem}")
