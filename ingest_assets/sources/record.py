"""Records: typed items that become rows; the one door through which a vendor's values reach a column.

The fields of a class are its columns, and their types say what happens to odd values:

    str         loses NUL and lone surrogates, and is cut at LONGEST_TEXT characters (`text_shortened` says so)
    Id          is refused where it is empty, too long for an index, or no text that PostgreSQL takes
    int         is refused beyond 64 bits
    datetime    is refused near the ends of the calendar
    list[str]   each text as above
    X | None    an Id, an int or a datetime that would be refused is None instead: it costs itself, not the item

Whatever has another type than its column is refused. `rejected.parsed` makes a refused item a rejected record.

A class whose parsing changes says so with a higher `parser`. Maintenance then derives its stored rows anew
(`sync.deriving`): it calls `rederive` with each row of an older parser, and with what `beside` read for some of
them at once, and replaces the columns that came out differently, but for those that are `kept`. By default
`rederive` is `from_api(account, raw)`.
"""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator
from sqlalchemy import Connection, Table

from ingest_assets.sources.columns import Door, Id, Kind
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.login import Account
from ingest_assets.sources.personal import Personal
from ingest_assets.sources.values import HASH_BYTES, dump_json
from ingest_assets.storage.record_tables import RecordRow, record_table
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.suppressed import People

Replays = TypeVar("Replays", bound="Record")

ENVELOPE = frozenset({"workspace_id", "account_id", "raw", "deleted"})
"""Fields that hold no value of the vendor's, and its item as a whole."""


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
    kept: ClassVar[frozenset[str]] = frozenset()
    """Columns that are no matter of what is stored beside them; they stay when a row is derived anew."""
    loose: ClassVar[frozenset[str]] = frozenset()
    """Columns that may differ from what the vendor sends though the content is the same."""
    shared: ClassVar[bool] = False
    """Several accounts of a workspace may see the same item: it is stored once."""
    personal: ClassVar[Personal] = Personal()
    """Which of its values are a person's."""
    sums_up: ClassVar["type[Record] | None"] = None
    """The class whose records this one is made of, by their `conversation_id`."""

    workspace_id: str
    account_id: int
    external_id: Id
    raw: SkipValidation[Json]  # what was parsed: checking it again would copy it
    deleted: bool = False

    own_fields: ClassVar[tuple[str, ...]] = ()
    """The columns that a class adds to the envelope, in order."""
    _own_values: ClassVar[Callable[[Json], tuple[Any, ...]]]
    _door: ClassVar[Door]

    def __init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # pydantic hands `table` to the hook below, once fields are known

    @classmethod
    def __pydantic_init_subclass__(cls, *, table: str | None = None, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.own_fields = tuple(name for name in cls.model_fields if name not in Record.model_fields)
        cls._own_values = itemgetter(*cls.own_fields, "external_id")  # with one name it would give no tuple
        kinds = {name: Kind.of(field) for name, field in cls.model_fields.items() if name not in ENVELOPE}
        cls._door = Door(kinds)
        if table is not None:
            columns = [kinds[name].column(name) for name in cls.own_fields]
            cls.table = record_table(table, columns, cls.indexes, comment=inspect.getdoc(cls), shared=cls.shared)

    @model_validator(mode="before")
    @classmethod
    def _through_the_door(cls, values: Json) -> Json:
        cls._door.clean(values)
        return values

    def _made_row(self) -> RecordRow:
        raw = dump_json(self.raw)
        hashed = raw
        if not self.volatile.isdisjoint(self.raw):
            hashed = dump_json({k: v for k, v in self.raw.items() if k not in self.volatile})
        digest = hashlib.blake2b(hashed, digest_size=HASH_BYTES)
        for name in self.telling:
            told = getattr(self, name)
            digest.update(b"\0" if told is None else b"\1" + told.encode())
        return RecordRow(
            self.workspace_id,
            self.account_id,
            self.external_id,
            type(self)._own_values(self.__dict__)[:-1],
            self.parser,
            raw.decode(),
            digest.digest(),
            self.deleted,
        )

    def model_copy(self, *, update: JsonView | None = None, deep: bool = False) -> Self:
        """Copy the record, and not the row that was made of it."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_row", None)
        return copied

    @classmethod
    def beside(cls, _conn: Connection, _rows: Sequence[StoredRow]) -> Any:
        """Read what deriving some rows of the table anew takes from other rows: names, for one."""
        return None

    @classmethod
    def rederive(cls, row: StoredRow, _beside: Any) -> Self:
        """Make the record of a stored row anew, from its `raw`. Raises what parsing a malformed item raises."""
        made: Self = cls.from_api(account_of(row), row.raw)  # type: ignore[attr-defined]  # each class has its own
        return made

    @classmethod
    def replay(cls, item: "SetAside", payload: Json) -> Self:
        """Make the record of an item that was set aside, from what is kept of it.

        Raises what parsing a malformed item raises.
        """
        made: Self = cls.from_api(item.account, payload)  # type: ignore[attr-defined]  # each class has its own
        return made

    @classmethod
    def after_replay(cls, _conn: Connection, _account: Account, _taken: Sequence["Record"]) -> Sequence["Record"]:
        """Return the records that change with these, which were set aside and are stored now."""
        return ()

    def without(self, people: People) -> Self:
        """Return the record without erased people; the same one where there are none in it.

        Raises what parsing a malformed item raises.
        """
        if self.personal.owned(self, people):
            return self.emptied(people)
        if not self.personal.may_hold(self.row().raw, people):
            return self
        raw = self.personal.taken_out(self.raw, people, self.personal.names(self, people))
        return self if raw is self.raw else self._with(raw)

    def emptied(self, people: People) -> Self:
        """Return the record with its place and nothing of what it holds."""
        cleared: Json = {"raw": self.personal.kept(self.raw, people)}
        cleared |= {name: [] if isinstance(getattr(self, name), list) else None for name in self.personal.clears}
        if all(getattr(self, name) == value for name, value in cleared.items()):
            return self
        return self.model_copy(update=cleared)

    def _with(self, raw: Json, **columns: Any) -> Self:
        """Derive the record anew from another `raw`, beside what it was parsed beside."""
        changed: Any = self.model_copy(update={"raw": raw, **columns})
        stays = {name: getattr(changed, name) for name in (*self.kept, "deleted")}
        return self.rederive(changed, self._beside()).model_copy(update=stays)

    def _beside(self) -> Any:
        """Return what `beside` gives for this record."""
        return None

    def left_to_read(self) -> tuple[str, str] | None:
        """Return the part that was not read while this item was rejected, and its name; None if there is none."""
        return None

    def may_differ(self) -> frozenset[str]:
        """Return the columns of this item that tell nothing when they differ from what is stored."""
        return self.loose

    def edited_at(self) -> datetime | None:
        """Return when the vendor says that the item was changed, where it says so."""
        return None

    def row(self) -> RecordRow:
        """Return what is stored of the record; it is made once."""
        made: RecordRow | None = self.__dict__.get("_row")
        if made is None:
            made = self.__dict__["_row"] = self._made_row()
        return made


@dataclass(frozen=True)
class SetAside:
    """An item that was set aside, and what it is parsed beside."""

    account: Account
    key: str
    stored: StoredRow | None
    """What is stored of the item as it was before."""
    beside: Any
    """What `Record.beside` read."""

    def replays(self, record: type[Replays]) -> Callable[[Any], Replays]:
        """Return what parses the payload."""
        return lambda payload: record.replay(self, payload)


def account_of(row: StoredRow) -> Account:
    """Return as much of an account as a record takes from it, for a stored row."""
    return Account(account_id=row.account_id, workspace_id=row.workspace_id, name="", external_id="", settings={})


class ConversationRecord(Record):
    """A record of something that was said, with what every source can tell about it."""

    whole: ClassVar[bool] = False
    """Kept for as long as its conversation, a record of the source's first kind, whatever its own age."""

    conversation_id: Id = Field(description="the thread, call or session that the item belongs to")
    occurred_at: datetime = Field(description="when it was sent or began; of a mail thread, its newest message")
    text: str | None = Field(description="what a person would have read")
    text_shortened: bool = Field(False, description="a bound cut the text, or took the layout of its markup away")
