"""What a login is: credential, settings, tokens, the clock it is used by, and what a probe found it to be."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Generic, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from typing_extensions import TypeVar

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.in_flight import InFlight
from ingest_assets.sources.json_values import Json


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
    settings: Json
    history_from: datetime | None = None
    """From when on it is read; None: as the source's setting says."""


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
        """Return a pair that is still valid, refreshed first if need be."""

    async def after(self, refused: TokenPair) -> TokenPair:
        """Return the pair that follows one that the vendor refused."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a credential turned out to be."""

    external_id: str | None
    """None where the vendor does not tell whose login it is: then the account is known by its name."""
    name: str
    settings: Json
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

    where: ClassVar[Mapping[str, str]] = {}
    """What each secret is, and where it is found: what `connect` asks for on a terminal."""

    single_use: ClassVar[bool] = True
    """Whether a refresh token works once: then the pairs that follow must be stored, whatever happens."""

    def first_token(self) -> str | None:
        """Return the refresh token that this login begins with, or None where it needs no other token."""
        token = getattr(self, "refresh_token", None)
        return None if token is None else str(token.get_secret_value())


def app_of(client_id: str | None, client_secret: SecretStr | None) -> tuple[str, str]:
    """Return id and secret of the OAuth app of a login. Raises ValueError for a login without one."""
    if client_id is None or client_secret is None:
        raise ValueError("This login has no OAuth app.")
    return client_id, client_secret.get_secret_value()


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

    keep_days: float | None = Field(
        default=None,
        gt=0,
        description="keep what was said for so many days; by default as the source's setting KEEP_DAYS says",
    )

    def kept_since(self, options: SourceOptions, now: datetime) -> datetime | None:
        """Return from when on rows are kept; None where they are kept for ever."""
        days = options.keep_days if self.keep_days is None else self.keep_days
        return None if days is None else now - timedelta(days=days)

    def at_most(self, span: timedelta) -> timedelta:
        """Shorten a span to what the account chose."""
        return span if self.last_hours is None else min(span, timedelta(hours=self.last_hours))


C = TypeVar("C", bound=Credential, covariant=True, default=Credential)
S = TypeVar("S", bound=AccountSettings, covariant=True, default=AccountSettings)
O = TypeVar("O", bound=SourceOptions, covariant=True, default=SourceOptions)  # noqa: E741  (options)


@dataclass(frozen=True, kw_only=True)
class Login(Generic[C, S, O]):
    """All that a client needs to call a vendor, and what the calls came to."""

    credential: C
    settings: S
    options: O
    tokens: Tokens | None = None
    """None where the credential is all that it takes."""
    clock: Clock = field(default_factory=Clock)
    calls: Counter[str] = field(default_factory=Counter)
    in_flight: InFlight = field(default_factory=InFlight)
    ignored: Counter[str] = field(default_factory=Counter)
    """Headers whose values say nothing that anybody understands, by name."""
