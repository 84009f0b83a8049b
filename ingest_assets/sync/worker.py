"""What every sync of a process shares."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Engine

from ingest_assets.settings import CoreSettings
from ingest_assets.sources.login import Account, Clock
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.source import Source
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.vault import Vault
from ingest_assets.sync.stage import Stage
from ingest_assets.sync.stop import Stop


class Reads(Protocol):
    """A sync that is under way."""

    account: Account

    def stage(self) -> Stage:
        """Return how far it has come."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What every sync of a process shares."""

    engine: Engine
    vault: Vault
    core: CoreSettings
    owner: str
    """Who holds the leases: the Dagster run or the command; the same owner may resume."""
    clock: Clock = field(default_factory=Clock)
    reservation: str | None = None
    """Who is due later (a vendor said when), or reserved for another run, is left alone. None reads all."""

    history_until: datetime | None = None
    """Of the history that was not read yet, a sync reads what lies before; None: all of it."""

    stop: Stop = field(default_factory=Stop)
    """Ends all syncs of the process at a safe place."""
    under_way: dict[int, "Reads"] = field(default_factory=dict)
    """The syncs of the process that are under way, by account."""

    @property
    def lease_length(self) -> timedelta:
        return timedelta(seconds=self.core.lease_seconds)


def account_of(row: StoredRow) -> Account:
    """Read an account from its row of `ingest.accounts`."""
    return Account(
        account_id=row.account_id,
        workspace_id=row.workspace_id,
        name=row.name,
        external_id=row.external_id,
        settings=row.settings,
        history_from=row.history_from and row.history_from.astimezone(UTC),
    )


def part_of(row: StoredRow) -> UnreadablePart:
    """Read a part from its row of `ingest.unreadable_parts`."""
    return UnreadablePart(
        part=row.part,
        name=row.name,
        code=row.code,
        action=row.action,
        since=row.since.astimezone(UTC),
        attempts=row.attempts,
        due_at=row.due_at,
        left_at=row.left_at and row.left_at.astimezone(UTC),
        acknowledged_at=row.acknowledged_at,
    )


def who(source: Source, account: Account) -> str:
    """Name an account in a sentence."""
    return f"{source.title} account {account.name!r} of workspace {account.workspace_id}"
