"""Compare what is stored of an account with what its vendor shows now, by a sample; nothing is written.

No lease is taken: an account that is being read is left alone, and where a sync begins meanwhile, verifying ends.
All is compared in the end, with the rows as they are then.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from ingest_assets.errors import IngestError, SourceError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.redaction import redacting
from ingest_assets.sources.source import Extraction, Look, Page, Source, Store
from ingest_assets.storage.accounts import get_account
from ingest_assets.storage.engine import reading
from ingest_assets.storage.held_deletions import load_held
from ingest_assets.storage.parts import load_parts
from ingest_assets.storage.schema import PAUSED, StoredRow
from ingest_assets.storage.suppressed import load_people
from ingest_assets.storage.verifying import rejected_among, whole_rows
from ingest_assets.sync.comparing import judged
from ingest_assets.sync.door import Door
from ingest_assets.sync.findings import Finding, Verified
from ingest_assets.sync.looking import looking
from ingest_assets.sync.worker import Worker, account_of

BUSY = "a sync reads this account now; verify it afterwards"
MISSING, DELETED, DIFFERS = "missing here", "marked as deleted here, and shown there", "differs in"


class Verifier:
    """Verifies one account."""

    def __init__(self, source: Source, row: StoredRow, options: SourceOptions, worker: Worker) -> None:
        self._source, self._row, self._options, self._worker = source, row, options, worker
        self._account: Account = account_of(row)
        self._seen: dict[tuple[type[Record], str], tuple[Record, str]] = {}
        self.result = Verified(source.name, row.workspace_id, row.name)

    def cost(self, sample: int) -> int:
        """Return how many requests it takes at most, without making one."""
        try:
            return asyncio.run(self._cost(sample))
        except (SourceError, IngestError):
            return 0  # verifying meets the same, and tells it

    def verify(self, sample: int) -> Verified:
        """Verify the account; what hinders that is in the result."""
        try:
            if self._row.state == PAUSED:
                raise IngestError("it is paused.")
            if self._row.last_sync_at is None:
                raise IngestError("it was never read.")
            asyncio.run(self._verify(sample))
        except (SourceError, IngestError) as error:
            self.result.unverified = str(error)
        return self.result

    async def _cost(self, sample: int) -> int:
        connector = self._source.connector()
        if connector.verify is None:
            return 0
        async with connector.verify(self._run(), sample) as looks:
            return sum(look.cost for look in looks)

    async def _verify(self, sample: int) -> None:
        run, verify = self._run(), self._source.connector().verify
        if verify is None:
            raise IngestError(f"{self._source.title} cannot be verified.")
        with reading(self._worker.engine) as conn:
            people = load_people(conn, self._worker.vault, self._account.workspace_id)
        self._door = Door(people, self._account.workspace_id)
        try:
            with redacting(self._worker.core.redactions):
                await self._look(verify(run, sample))
        finally:
            self.result.calls = sum(run.calls.values())
            self._judge()

    async def _look(self, opened: AbstractAsyncContextManager[Sequence[Look]]) -> None:
        async with opened as looks:
            for look in looks:
                if self._is_read():
                    self.result.unverified = BUSY
                    break
                await look.read(self._comparing(look.name))

    def _comparing(self, name: str) -> Store:
        async def compare(page: Page) -> None:
            for record in (self._door.page(page) if self._door.people else page).records:
                if isinstance(record, ConversationRecord) and not record.deleted:
                    self._seen.setdefault((type(record), record.external_id), (record, name))
            held = self._held
            self.result.kept += len(held & set(page.gone))
            self.result.gone += len(set(page.gone) - held)

        return compare

    def _judge(self) -> None:
        """Compare what was seen with the rows as they are now."""
        account = self._account
        with reading(self._worker.engine) as conn:
            parts = {row.part for row in load_parts(conn, account.account_id)}
            for kind in self._source.records:
                seen = {key: found for (of, key), found in self._seen.items() if of is kind}
                rows = whole_rows(conn, kind.table, account.workspace_id, account.account_id, list(seen))
                known = rejected_among(conn, kind.table, account.account_id, list(seen))
                for key, (record, look) in seen.items():
                    if key not in known and not _unreadable(record, parts):
                        self._compare(record, rows.get(key), look)

    def _compare(self, record: Record, row: StoredRow | None, look: str) -> None:
        self.result.compared += 1
        how, names = MISSING, tuple[str, ...]()
        if row is not None and row.deleted_at is not None:
            how = DELETED
        elif row is not None:
            wrong, fields = judged(record, row, self._row.last_success_at)
            if not wrong:
                self.result.changed += bool(fields)
                return
            how, names = DIFFERS, tuple(fields)
        conversation = record.conversation_id if isinstance(record, ConversationRecord) else record.external_id
        found = Finding(record.table.name, record.external_id, conversation, look, how, names)
        self.result.findings.append(found)

    def _run(self) -> Extraction:
        with reading(self._worker.engine) as conn:
            self._held = {one.external_id for one in load_held(conn, self._row.account_id)}
        return looking(self._source, self._row, self._options, self._worker)

    def _is_read(self) -> bool:
        with reading(self._worker.engine) as conn:
            now = get_account(conn, self._row.account_id)
        held = now.lease_until is not None and now.lease_until > datetime.now(UTC)
        return bool(held or now.last_sync_at != self._row.last_sync_at)


def _unreadable(record: Record, parts: Collection[str]) -> bool:
    """Tell whether it is known that an item, or the thread that it belongs to, could not be read."""
    ids = {record.external_id}
    if isinstance(record, ConversationRecord):
        ids.add(record.conversation_id)
    return any(part.endswith(tuple(ids)) for part in parts)
