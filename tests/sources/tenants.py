"""One simulated customer of each vendor, spoken to in the same words: what the conformance suite works with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sqlalchemy import Row, Table, select

from ingest_assets.cli.connecting import Connected, connect_account
from ingest_assets.sources.fathom import FATHOM
from ingest_assets.sources.gmail import GMAIL
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.gong import GONG
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.source import Source
from ingest_assets.storage.schema import accounts, rejected_records, sync_cursors
from ingest_assets.sync.account import sync
from ingest_assets.sync.result import SyncResult
from tests.workbench import Bench

PAGE = 3
"""Items a page, where the simulator lets us choose: small, so that a few items make several pages."""


class Tenant(ABC):
    """A customer of a vendor's, and the account of ours that reads it."""

    source: ClassVar[Source]
    listing: ClassVar[str]
    """The method whose pages a sync follows."""
    settings: Mapping[str, Any] = {}

    def __init__(self, bench: Bench, name: str, **seed: Any) -> None:
        """`seed`: what the order that makes the customer takes besides, or instead."""
        self.bench, self.name, self.seed = bench, name, seed
        self.secrets: dict[str, str] = {}
        self.vendor_id = self.found()

    @abstractmethod
    def found(self) -> str:
        """Make the customer at the vendor; return its id there."""

    @abstractmethod
    def given(self) -> dict[str, Any]:
        """Give the credential as `connect` takes it."""

    @abstractmethod
    def add(self, *, hours_ago: float = 0.5) -> str:
        """Make something new; return the external id of its row."""

    @abstractmethod
    def change(self, external_id: str) -> None:
        """Change something."""

    @abstractmethod
    def add_malformed(self) -> str:
        """Make something new that the vendor sends malformed."""

    @abstractmethod
    def heal(self, external_id: str) -> None:
        """Make the vendor send it as it is again."""

    @abstractmethod
    def delete(self, external_id: str) -> None:
        """Delete it for good."""

    @abstractmethod
    def restore(self, external_ids: Iterable[str]) -> None:
        """Make the vendor show again what was deleted, as it was."""

    @abstractmethod
    def revoke(self, *, revoked: bool = True) -> None:
        """Take our access away, or give it back."""

    def connect(self, *, name: str | None = None, **settings: Any) -> Connected:
        return connect_account(
            self.bench.app,
            self.source,
            self.name,
            given=self.given(),
            settings={**self.settings, **settings},
            name=name,
            read_secret=self.secrets.__getitem__,
            clock=self.bench.source_clock,
        )

    def connected(self, **settings: Any) -> Tenant:
        self.connect(**settings)
        return self

    @property
    def table(self) -> Table:
        return self.source.main.table

    @property
    def account(self) -> Row[Any]:
        with self.bench.engine.connect() as conn:
            return conn.execute(
                select(accounts)
                .where(accounts.c.workspace_id == self.name, accounts.c.source == self.source.name)
                .order_by(accounts.c.account_id)
                .limit(1)
            ).one()

    def sync(self, account: Row[Any] | None = None, **changes: Any) -> SyncResult:
        options = self.bench.app.options_of(self.source)
        worker = self.bench.worker(**changes)
        return sync(self.source, account or self.account, options, worker)

    def reads(self) -> SyncResult:
        result = self.sync()
        assert result.status == "success", result.reason
        return result

    def stored(self, table: Table) -> list[Row[Any]]:
        with self.bench.engine.connect() as conn:
            return list(conn.execute(select(table).where(table.c.workspace_id == self.name)).all())

    @property
    def rows(self) -> dict[str, Row[Any]]:
        return {row.external_id: row for row in self.stored(self.table)}

    @property
    def living(self) -> set[str]:
        return {external_id for external_id, row in self.rows.items() if row.deleted_at is None}

    @property
    def rejected(self) -> list[Row[Any]]:
        return self.stored(rejected_records)

    @property
    def cursors(self) -> list[Row[Any]]:
        return self.stored(sync_cursors)

    def content(self) -> list[tuple[str, str, bytes, bool]]:
        """What two syncs that did the same leave alike."""
        return sorted(
            (record.table.name, row.external_id, row.content_hash, row.deleted_at is None)
            for record in self.source.records
            for row in self.stored(record.table)
        )

    def forget_cursors(self) -> None:
        self.bench.execute("delete from ingest.sync_cursors where workspace_id = :name", name=self.name)

    def order(self, verb: str, **fields: Any) -> Any:
        return self.bench.order(f"{self.source.name}/{verb}", **{self.key: self.vendor_id}, **fields)

    key: ClassVar[str]
    """What the control plane calls the customer."""

    def fault(self, kind: str, **fields: Any) -> None:
        self.bench.order("fault", kind=kind, vendor=self.source.name, team=self.vendor_id, **fields)

    def calm(self) -> None:
        self.bench.sim.delete("/_sim/fault").raise_for_status()

    def calls(self, since: int = 0) -> dict[str, int]:
        counts: dict[str, int] = self.bench.ask("ledger/counts", since=since, team=self.vendor_id)["by_method"]
        return counts


class SlackTenant(Tenant):
    source = SLACK
    listing = "conversations.history"
    key = "team"

    def found(self) -> str:
        self.secrets = {"token": f"xoxb-{self.name}-secret"}
        seed = {"world": {"channels": [{"name": "general"}]}, "page_cap": PAGE} | self.seed
        made = self.bench.order("slack/team", token=self.secrets["token"], name=self.name.title(), **seed)
        self.channel: str = next(iter(made["channels"].values()))
        return str(made["team_id"])

    def given(self) -> dict[str, Any]:
        return {"token": "-"}

    def add(self, *, hours_ago: float = 0.5) -> str:
        posted = self.order("post", channel="general", text="something new", hours_ago=hours_ago)
        return f"{self.channel}:{posted['ts']}"

    def _ts(self, external_id: str) -> str:
        return external_id.partition(":")[2]

    def change(self, external_id: str) -> None:
        self.order("edit", channel="general", ts=self._ts(external_id), text="something else")

    def add_malformed(self) -> str:
        posted = self.order("post", channel="general", text="odd", hours_ago=0.1, extra={"edited": "yes"})
        return f"{self.channel}:{posted['ts']}"

    def heal(self, external_id: str) -> None:
        self.change(external_id)

    def delete(self, external_id: str) -> None:
        self.order("delete", channel="general", ts=self._ts(external_id))

    def restore(self, external_ids: Iterable[str]) -> None:
        for external_id in external_ids:
            self.order("raw", channel="general", payload=self.rows[external_id].raw)

    def revoke(self, *, revoked: bool = True) -> None:
        self.order("token", revoked=revoked)


class GongTenant(Tenant):
    source = GONG
    listing = "calls.extensive"
    key = "company"

    def found(self) -> str:
        self.secrets = {"access_key": f"key-{self.name}", "access_key_secret": "gong-secret"}
        seed = {"page_size": PAGE} | self.seed
        made = self.bench.order("gong/company", name=self.name.title(), **seed, **self.secrets)
        self.settings = {"base_url": f"{self.bench.sim.base_url}{made['base_path']}"}
        return str(made["company"])

    def given(self) -> dict[str, Any]:
        return {"access_key": "-", "access_key_secret": "-"}

    def add(self, *, hours_ago: float = 0.5) -> str:
        return str(self.order("call", hours_ago=hours_ago, sentences=6)["call"])

    def change(self, external_id: str) -> None:
        self.order("edit", call=external_id, fields={"title": "Another title"})

    def add_malformed(self) -> str:
        external_id = self.add(hours_ago=0.1)
        self.order("raw", call=external_id, payload={"metaData": {"id": external_id, "started": "soon"}})
        return external_id

    def heal(self, external_id: str) -> None:
        self.order("raw", call=external_id, payload=None)

    def delete(self, external_id: str) -> None:
        self.order("delete", call=external_id)

    def restore(self, external_ids: Iterable[str]) -> None:
        for external_id in external_ids:
            self.order("restore", call=external_id)

    def revoke(self, *, revoked: bool = True) -> None:
        self.order("credential", revoked=revoked)


class FathomTenant(Tenant):
    source = FATHOM
    listing = "meetings.list"
    key = "org"

    def found(self) -> str:
        self.secrets = {"api_key": f"fathom-key-{self.name}"}
        seed = {"page_size": PAGE} | self.seed
        made = self.bench.order("fathom/org", name=self.name.title(), **seed, **self.secrets)
        return str(made["org"])

    def given(self) -> dict[str, Any]:
        return {"api_key": "-"}

    def add(self, *, hours_ago: float = 0.5) -> str:
        return str(self.order("meeting", hours_ago=hours_ago, segments=6)["recording"])

    def change(self, external_id: str) -> None:
        self.order("edit", recording=int(external_id), fields={"title": "Another title"})

    def add_malformed(self) -> str:
        external_id = self.add(hours_ago=0.1)
        payload = {"recording_id": int(external_id), "created_at": "soon"}
        self.order("raw", recording=int(external_id), payload=payload)
        return external_id

    def heal(self, external_id: str) -> None:
        self.order("raw", recording=int(external_id), payload=None)

    def delete(self, external_id: str) -> None:
        self.order("delete", recording=int(external_id))

    def restore(self, external_ids: Iterable[str]) -> None:
        for external_id in external_ids:
            self.order("restore", recording=int(external_id))

    def revoke(self, *, revoked: bool = True) -> None:
        self.order("credential", revoked=revoked)


class GmailTenant(Tenant):
    source = GMAIL
    listing = "threads.list"
    key = "mailbox"

    def found(self) -> str:
        self.secrets = {"client_secret": "google-secret", "refresh_token": f"1//refresh-{self.name}"}
        email = f"team@{self.name}.example"
        seed = {"page_cap": PAGE} | self.seed
        self.bench.order("gmail/mailbox", email=email, client_id="client", **seed, **self.secrets)
        return email

    def given(self) -> dict[str, Any]:
        return {"client_id": "client", "client_secret": "-", "refresh_token": "-"}

    def add(self, *, hours_ago: float = 0.5) -> str:
        attachments = [{"filename": "offer.pdf", "size": 2000}]
        return str(
            self.order("message", text="Something new", attachments=attachments, hours_ago=hours_ago)["thread"]
        )

    def message(self, **fields: Any) -> dict[str, str]:
        """Deliver a message; return its ids and its thread's."""
        made: dict[str, str] = self.order("message", **{"hours_ago": 1, **fields})
        return made

    def stored_message(self, made: dict[str, str]) -> Row[Any]:
        [row] = [row for row in self.stored(GmailMessage.table) if row.external_id == made["message"]]
        return row

    def change(self, external_id: str) -> None:
        self.order("message", thread=external_id, text="One more thing")

    def add_malformed(self) -> str:
        external_id = self.add(hours_ago=0.1)
        threads = self.bench.ask("gmail/state", mailbox=self.vendor_id)["threads"]
        [shown] = [thread for thread in threads if thread["id"] == external_id]
        undated = [{"id": message["id"], "threadId": external_id} for message in shown["messages"]]
        self.order("raw", thread=external_id, payload={"id": external_id, "historyId": "1", "messages": undated})
        return external_id

    def heal(self, external_id: str) -> None:
        self.order("raw", thread=external_id, payload=None)

    def delete(self, external_id: str) -> None:
        self.order("delete", thread=external_id)

    def restore(self, external_ids: Iterable[str]) -> None:
        assert external_ids
        self.order("restore")

    def revoke(self, *, revoked: bool = True) -> None:
        self.order("credential", revoked=revoked)


TENANTS: dict[str, type[Tenant]] = {
    kind.source.name: kind for kind in (SlackTenant, GongTenant, FathomTenant, GmailTenant)
}
