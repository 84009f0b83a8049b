"""A simulated customer that lives: what is done there, what it shows, and what is stored of it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Row

from ingest_assets.storage.accounts import find_accounts
from tests.sources.tenants import Tenant
from tests.workbench import Bench

MARGIN = timedelta(minutes=30)  # of clocks that are wrong by ten minutes, and of what a sync takes
DEEP = timedelta(days=7)  # for so long a transcript that is there is asked for again
Numbers = Sequence[int]


@dataclass(frozen=True)
class Item:
    """What a vendor shows of an item, or what is stored of it, in the same words."""

    content: tuple[Any, ...]
    at: datetime
    """When it was said or began."""


Shown = Mapping[str, Item]
"""By external id."""


class World(ABC):
    """One customer of one vendor's."""

    faults: ClassVar[Mapping[str, Sequence[str]]]
    """The errors that a vendor's method answers with, by method."""

    def __init__(self, bench: Bench, numbers: Numbers) -> None:
        self.bench, self.variant = bench, numbers[0] % 3
        bench.configure(**self.configuration())
        self.tenant = self.customer()
        self.said = 0
        self.malformed: list[str] = []
        self.settled_at: datetime | None = None
        """When everything was to be read that is looked at daily."""

    @property
    def now(self) -> datetime:
        """Return the vendor's time."""
        return datetime.fromisoformat(self.bench.ask("clock")["now"])

    def words(self) -> str:
        """Return something that nobody has said yet."""
        self.said += 1
        return f"said-{self.said}."

    @abstractmethod
    def customer(self) -> Tenant:
        """Make the customer, in one of three variants."""

    def configuration(self) -> Mapping[str, str]:
        """Return settings of ours."""
        return {}

    @property
    def rotating(self) -> bool:
        """Whether the login's refresh tokens work once: one that is lost on its way ends the login."""
        return False

    def connect(self) -> None:
        self.tenant.connect()

    @property
    def accounts(self) -> Sequence[Row[Any]]:
        """Return our accounts of the customer."""
        with self.bench.engine.connect() as conn:
            return find_accounts(conn, source=self.tenant.source.name)

    @abstractmethod
    def begin(self, numbers: Numbers) -> None:
        """Choose how the vendor answers, and make the first items."""

    @abstractmethod
    def live(self, numbers: Numbers) -> str:
        """Do something; return what."""

    @abstractmethod
    def shown(self) -> Shown:
        """Return what any of the logins can see now and our settings want."""

    def seen_by(self, _account: Row[Any]) -> set[str]:
        """Return what one account's login can see."""
        return set(self.shown())

    def owned_by(self, account: Row[Any]) -> set[str]:
        """Return what one account has stored, and marks as deleted."""
        return {key for key, row in self.tenant.rows.items() if row.account_id == account.account_id}

    @abstractmethod
    def stored(self) -> Shown:
        """Return what is stored and not marked as deleted."""

    @abstractmethod
    def promised(self, item: Item, began: datetime) -> bool:
        """Tell whether a successful sync that began then has read an item, whatever was read before."""

    def alike(self, external_id: str, stored: Item, shown: Sequence[Item], *, settled: bool) -> bool:
        """Tell whether what is stored is right, were it as of before or after the sync."""
        return stored.content in [one.content for one in shown]

    def marked(self) -> set[str]:
        """Return the items that are stored and marked as deleted."""
        return {key for key, row in self.tenant.rows.items() if row.deleted_at is not None}

    def malform(self) -> str:
        """Make an item that cannot be parsed, or mend one."""
        if len(self.malformed) > 2:
            self.tenant.heal(self.malformed.pop(0))
            return "mended"
        self.malformed.append(self.tenant.add_malformed())
        return "malformed"

    def mend(self) -> None:
        """Have the vendor send everything as it is."""
        while self.malformed:
            self.tenant.heal(self.malformed.pop())


def picked(things: Sequence[Any], number: int) -> Any:
    return things[number % len(things)]


def moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def spoken(text: str | None) -> str:
    """Return the words that the texts of this module and no others have."""
    return " ".join(re.findall(r"said-\d+\.", text or ""))


def alike_but_for_old_transcripts(world: World, stored: Item, shown: Sequence[Item], *, settled: bool) -> bool:
    """Tell whether title and transcript are right.

    A sync asks for a transcript that was never there; for one that is there daily, while the item is young.
    """
    if stored.content[0] not in [one.content[0] for one in shown]:
        return False
    said = [one.content[1] for one in shown]
    if settled and world.settled_at is not None and stored.at > world.settled_at - DEEP + MARGIN:
        return stored.content[1] in said
    return bool(stored.content[1]) or "" in said
