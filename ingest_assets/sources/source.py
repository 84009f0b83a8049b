"""What a source is: pages that say where it is safe to stop, and one `Source` value that the rest derives from."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic

from pydantic import BaseModel
from sqlalchemy import Connection, Engine
from typing_extensions import TypeVar

from ingest_assets.errors import SourceError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.authorizing import Authorize, Client
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.locating import Covered, Shown, Sought
from ingest_assets.sources.login import Account, AccountSettings, C, Credential, Login, O, Probe, S, TokenPair
from ingest_assets.sources.parts import Parts, UnreadablePart
from ingest_assets.sources.planning import Estimate
from ingest_assets.sources.progress import Progress
from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.rejected import Rejected
from ingest_assets.sources.transcript import Transcript
from ingest_assets.storage.existing import Existing
from ingest_assets.storage.schema import StoredRow

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Page:
    """Rows that are committed together, and, where it is safe to resume from here, the cursor of their stream."""

    records: Sequence[Record] = ()
    gone: Sequence[str] = ()
    """External ids of stored items that the vendor shows no more, in a range that was read completely."""
    left: Sequence[str] = ()
    """External ids of stored items that the vendor shows, and that the account does not read any more."""
    part: str = ""
    """What the items that are gone belong to, as an operator calls it; by default the label or the stream."""
    shown: Sequence[str] = ()
    """External ids of stored items that the vendor shows, and that were missed before (`Extraction.missed`)."""
    also_gone: Mapping[type[Record], Sequence[str]] = field(default_factory=dict)
    """The same for records beside the source's first."""
    rejected: Sequence[Rejected] = ()
    stream: str = ""
    cursor: BaseModel | None = None
    label: str | None = None
    """What an operator would count by: a channel's name."""
    unreadable: Sequence[UnreadablePart] = ()
    """Parts that could not be read."""
    read: Sequence[str] = ()
    """Parts that could not be read before, and were read to their end with this page."""
    then: Callable[[Connection], None] | None = None
    """Writes what belongs to the rows, after them in their transaction."""


Store = Callable[[Page], Awaitable[None]]
"""Takes a page to be committed, and returns once the page before is. A later call raises what its commit met."""


@dataclass(frozen=True)
class Look:
    """A bounded read for `verify`, of a range of time or of stored items by id.

    Its pages are compared, not stored. They hold only what should be stored by now, and nothing that may be newer
    than the last sync.
    """

    name: str
    cost: int
    """Requests at most, retries aside."""
    read: Callable[[Store], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Extraction(Login[C, S, O]):
    """All that reading one account once needs, and what reading it cost."""

    account: Account
    cursors: Mapping[str, Json]
    started_at: datetime
    engine: Engine
    calls_today: Sequence[tuple[datetime, int]] = ()
    """Requests of the last 24 hours that count towards the same daily limit: each earlier sync's, oldest first."""
    skipped: dict[str, str] = field(default_factory=dict)
    """What was not read for reasons of ours (a day's share of requests), by name."""
    parts: Parts = field(default_factory=Parts)
    """Parts that the vendor does not let us read; what happens to them rides on pages."""
    progress: Progress = field(default_factory=Progress)
    """What is told of the sync while it is under way."""
    waiting: frozenset[str] = frozenset()
    """External ids of rows that the vendor did not show, too many to mark: an operator is to decide."""
    kept: frozenset[str] = frozenset()
    """The same where the decision was to keep them: they are not asked for."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Items that are not stored on purpose, by the reason."""
    history_until: datetime | None = None
    """Of the history that was not read yet, this sync reads what lies before; None: all of it."""
    half_time: datetime | None = None
    """When half of the sync's time is over."""

    def existing(self, record: type[Record]) -> Existing:
        """Return what is stored of the account's records of a kind."""
        return Existing(self.engine, record.table, self.account.workspace_id, self.account.account_id)

    @property
    def kept_since(self) -> datetime | None:
        """From when on rows are kept; None where they are kept for ever."""
        return self.settings.kept_since(self.options, self.started_at)

    def at_most(self, span: timedelta) -> timedelta:
        """Shorten a span to what the account chose, and to what is kept."""
        kept, chosen = self.kept_since, self.settings.at_most(span)
        return chosen if kept is None else min(chosen, self.started_at - kept)

    @property
    def history(self) -> timedelta:
        """How far back the account is read."""
        chosen = self.account.history_from
        span = timedelta(days=self.options.history_days) if chosen is None else self.started_at - chosen
        return self.at_most(max(span, timedelta(0)))

    @property
    def missed(self) -> frozenset[str]:
        """Return the rows that the vendor did not show, and that are kept for now or for good."""
        return self.waiting | self.kept

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


Cred = TypeVar("Cred", bound=Credential, default=Any)
Sett = TypeVar("Sett", bound=AccountSettings, default=Any)
Opts = TypeVar("Opts", bound=SourceOptions, default=Any)


@dataclass(frozen=True)
class Connector(Generic[Cred, Sett, Opts]):
    """What talks to a vendor."""

    extract: Callable[[Extraction[Cred, Sett, Opts], Store], Awaitable[None]]
    """Hands the account's pages to the store, in the order in which they may be committed."""
    probe: Callable[[Login[Cred, Sett, Opts]], Awaitable[Sequence[Probe | SourceError]]]
    """One entry for each account that the login opens; raises SourceError or IngestError when it opens none."""
    client: Callable[[Login[Cred, Sett, Opts]], AbstractAsyncContextManager[Any]]
    """The client that all of this reads with, open for one login."""
    exchange: Callable[[Login[Cred, Sett, Opts], str], Awaitable[TokenPair]] | None = None
    """(login, refresh token) -> the next pair, in one request; raises SourceError."""
    verify: Callable[[Extraction[Cred, Sett, Opts], int], AbstractAsyncContextManager[Sequence["Look"]]] | None = (
        None
    )
    """(account, how many items) -> what `verify` looks at, while the client is open; it asks nothing yet."""
    reread: Callable[[str, Json], Json | None] | None = None
    """(stream, cursor) -> the cursor with all that it covers to be read again; None where it covers nothing."""
    plan: Callable[[Extraction[Cred, Sett, Opts]], Awaitable[Estimate]] | None = None
    """What reading the account from where it is to its end costs, from a few requests."""
    authorize: Authorize | None = None
    """How users log in by browser."""
    visible: Callable[[Login[Cred, Sett, Opts]], Awaitable[tuple[str, bool]]] | None = None
    """What a login may see, in words, and whether that is anything, where a probe does not tell."""
    cautions: Callable[[Mapping[str, Json]], Sequence[str]] | None = None
    """(an account's cursors) -> what its syncs found out about limits of the login, a sentence each."""
    covered: Callable[[Mapping[str, Json], Sought], Covered | None] | None = None
    """(an account's cursors, an item) -> what was read of where the item belongs; None where nothing was."""
    shows: Callable[[Login[Cred, Sett, Opts], Sought], Awaitable[Shown | None]] | None = None
    """Asks the vendor for one item; None where it cannot be asked for this one. Raises SourceError."""


@dataclass(frozen=True, kw_only=True)
class Source(Generic[Cred, Sett, Opts]):
    """Everything that the rest of the project derives from one vendor's module."""

    name: str
    title: str
    records: tuple[type[Record], ...]
    """The first one is what counts and health are about."""
    credential: type[Cred]
    settings: type[Sett]
    """An account's own choices, fields of `connect`."""
    options: type[Opts]
    connector: Callable[[], Connector[Cred, Sett, Opts]]
    """Imported when it is called: the vendors' libraries would be a third of every command's start."""
    description: str
    api: str
    """The vendor's API, the upstream end of the lineage."""
    console: str
    """The vendor's page on which its customers grant and see such access."""
    transcript: Callable[[JsonView], Transcript] | None = None
    """(a row's `raw` of the main table) -> what was said, for the language model; where there are conversations.

    Raises what UNPARSEABLE lists.
    """
    hints: frozenset[str] = frozenset()
    """Parts that only tell where to look first: a sync without them is a success all the same."""
    examples: tuple[str, ...] = ()
    """How `connect` is called for it, after the source's name."""
    manifest: Callable[..., Json] | None = None
    """(settings, redirect_url=, rotation=) -> an app that may do what they need, for vendors that make apps so."""
    client_file: Callable[[str], Client] | None = None
    """(content) -> the app in a file of the vendor's, for vendors that hand out such files; raises IngestError."""
    daily_calls: Callable[[Opts], int] | None = None
    """(options) -> how many requests a day the vendor grants everyone who shares an external id."""
    locate: Callable[[str], Sequence[Sought]] = lambda _text: ()
    """(an id or an address) -> what it may name, the likeliest first; nothing where it is not the source's."""
    link: Callable[[StoredRow, StoredRow], str | None] = lambda _row, _account: None
    """(a row of the main table, or one beside it; its account) -> where the vendor shows it."""

    @property
    def main(self) -> type[Record]:
        return self.records[0]

    @property
    def noun(self) -> str:
        """What one of the main records is called: the table's name without the source's, in the singular."""
        return self.main.table.name.removeprefix(f"{self.name}_").removesuffix("s")

    @property
    def assets(self) -> list[type[ConversationRecord]]:
        """What is said, first the main one; names of people and places are only stored beside it."""
        return [record for record in self.records if issubclass(record, ConversationRecord)]

    @property
    def directories(self) -> list[type[Record]]:
        """Names of people and places, which the same sync reads now and then."""
        return [record for record in self.records if not issubclass(record, ConversationRecord)]
