"""What a source is: records that become tables, pages that say where it is safe to stop, one `Source` value."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, ClassVar, Protocol, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, SkipValidation, ValidationError
from sqlalchemy import BigInteger, Boolean, Column, Engine, Table, Text
from sqlalchemy.types import TypeEngine

from ingest_assets.errors import SourceError
from ingest_assets.settings import SettingsGroup
from ingest_assets.storage.schema import record_table, timestamp

COLUMN_TYPES: dict[Any, TypeEngine[Any]] = {str: Text(), int: BigInteger(), bool: Boolean(), datetime: timestamp}
LONGEST_ID = 600  # characters, of up to 4 bytes: PostgreSQL's indexes hold values of up to 2,704 bytes
HASH_BYTES = 16
DAY = timedelta(days=1)


class Record(BaseModel):
    """One typed item and the JSON it was parsed from. The fields of a subclass are the columns of its table."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)
    table: ClassVar[Table]
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = ()
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Top-level fields of `raw` that differ from read to read and mean no change."""
    telling: ClassVar[tuple[str, ...]] = ()
    """Columns of text that are not taken from `raw` and whose change is a change of the record."""
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
        """Give the values in the order of `COPY`: envelope, own columns, raw, content_hash, deleted."""
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
            raw.decode(),
            digest.digest(),
            self.deleted,
        )


class ConversationRecord(Record):
    """A record of something that was said, with what every source can tell about it."""

    conversation_id: str
    occurred_at: datetime
    text: str | None


def _column(record: type[Record], name: str) -> Column[Any]:
    info = record.model_fields[name]
    annotation = info.annotation
    optional = isinstance(annotation, UnionType) and NoneType in get_args(annotation)
    plain = next(t for t in get_args(annotation) if t is not NoneType) if optional else annotation
    return Column(name, COLUMN_TYPES[plain], nullable=optional, comment=info.description)


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


@dataclass(frozen=True)
class Page:
    """Rows that are committed together, and, where it is safe to resume from here, the cursor of their stream."""

    records: Sequence[Record] = ()
    gone: Sequence[str] = ()
    """External ids of stored items that the vendor shows no more, in a range that was read completely."""
    left: Sequence[str] = ()
    """External ids of stored items that the vendor shows, and that the account does not read any more."""
    also_gone: Mapping[type[Record], Sequence[str]] = field(default_factory=dict)
    """The same for records beside the source's first."""
    rejected: Sequence[Rejected] = ()
    stream: str = ""
    cursor: BaseModel | None = None
    label: str | None = None
    """What an operator would count by: a channel's name."""


@dataclass(frozen=True)
class Clock:
    """Time as the sync sees it; a parameter because it decides what is read and how long we wait."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, kw_only=True)
class Account:
    """One workspace's login at one source."""

    account_id: int
    workspace_id: str
    name: str
    external_id: str
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """What a vendor gave for a single-use refresh token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime | None
    base_url: str | None = None
    """Where the vendor wants this customer's requests, if it says so."""

    def lasts(self, moment: datetime, margin: timedelta) -> bool:
        return self.expires_at is None or moment < self.expires_at - margin


class Tokens(Protocol):
    """The current pair of a login whose refresh tokens work once, shared by all workers through the database."""

    async def current(self) -> TokenPair:
        """Give a pair that is still valid, refreshed first if need be."""

    async def after(self, refused: TokenPair) -> TokenPair:
        """Give the pair that follows one that the vendor refused."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """All that a client needs to call a vendor, and what the calls came to."""

    credential: Any
    settings: Any
    options: Any
    tokens: Tokens | None = None
    """None where the credential is all that it takes."""
    clock: Clock = field(default_factory=Clock)
    calls: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Extraction(Login):
    """All that reading one account once needs, and what reading it cost."""

    account: Account
    cursors: Mapping[str, dict[str, Any]]
    started_at: datetime
    engine: Engine
    calls_today: Sequence[tuple[datetime, int]] = ()
    """Requests of the last 24 hours that count towards the same daily limit: each earlier sync's, oldest first."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Parts that could not be read, with the vendor's code for why."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Items that are not stored on purpose, by the reason."""

    def affordable_at(self, daily_calls: float) -> datetime | None:
        """Tell when so many requests a day allow the next one; None if they do now."""
        over = sum(calls for _, calls in self.calls_today) + self.calls.total() - daily_calls
        if over < 0:
            return None
        for began, calls in self.calls_today:
            over -= calls
            if over < 0:
                return began + DAY
        return self.started_at + DAY


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a credential turned out to be."""

    external_id: str | None
    """None where the vendor does not tell whose login it is: then the account is known by its name."""
    name: str
    settings: dict[str, Any]
    warnings: Sequence[str] = ()
    credential: Mapping[str, str] = field(default_factory=dict)
    """Fields of the credential that are this account's own, where one login opens several accounts."""


class Credential(BaseModel):
    """A login; `SecretStr` fields are stored encrypted or as the name of an environment variable."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    internal: ClassVar[frozenset[str]] = frozenset()
    """Fields that a probe fills in, not the user."""
    files: ClassVar[frozenset[str]] = frozenset()
    """Secret fields that the user gives as a file."""

    @classmethod
    def is_secret(cls, name: str) -> bool:
        annotation = cls.model_fields[name].annotation
        return SecretStr in (annotation, *get_args(annotation))

    single_use: ClassVar[bool] = True
    """Whether a refresh token works once: then the pairs that follow must be stored, whatever happens."""

    def first_token(self) -> str | None:
        """Give the refresh token that this login begins with, or None where it needs no other token."""
        token = getattr(self, "refresh_token", None)
        return None if token is None else str(token.get_secret_value())


def one_of(*ways: Sequence[object]) -> bool:
    """Tell whether exactly one way to log in is given, and that one whole."""
    return sum(any(way) for way in ways) == sum(all(way) for way in ways) == 1


class AccountSettings(BaseModel):
    """What one account of any source chooses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_hours: float | None = Field(
        default=None,
        gt=0,
        description="read no further back than so many hours; off by default",
    )

    def at_most(self, span: timedelta) -> timedelta:
        """Shorten a span to what the account chose."""
        return span if self.last_hours is None else min(span, timedelta(hours=self.last_hours))


@dataclass(frozen=True)
class Connector:
    """What talks to a vendor."""

    extract: Callable[[Extraction], AsyncGenerator[Page]]
    probe: Callable[[Login], Awaitable[Sequence[Probe | SourceError]]]
    """One entry for each account that the login opens; raises SourceError or IngestError when it opens none."""
    exchange: Callable[[Login, str], Awaitable[TokenPair]] | None = None
    """(login, refresh token) -> the next pair, in one request; raises SourceError."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Everything that the rest of the project derives from one vendor's module."""

    name: str
    title: str
    records: tuple[type[Record], ...]
    """The first one is what counts and health are about."""
    credential: type[Credential]
    settings: type[BaseModel]
    """An account's own choices, fields of `connect`."""
    options: type[SettingsGroup]
    connector: Callable[[], Connector]
    """Imported when it is called: the vendors' libraries would be a third of every command's start."""
    description: str
    api: str
    """The vendor's API, the upstream end of the lineage."""
    daily_calls: Callable[[Any], int] | None = None
    """(options) -> how many requests a day the vendor grants everyone who shares an external id."""

    @property
    def main(self) -> type[Record]:
        return self.records[0]

    @property
    def assets(self) -> list[type[Record]]:
        """What is said, first the main one; names of people and places are only stored beside it."""
        return [record for record in self.records if issubclass(record, ConversationRecord)]
