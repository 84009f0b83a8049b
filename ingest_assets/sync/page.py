"""One page into the database: rows, deletions, rejected items, parts and the cursor, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Table

from ingest_assets.errors import LeaseLost, UnexpectedResponse
from ingest_assets.sources.login import Account
from ingest_assets.sources.parts import UnreadablePart
from ingest_assets.sources.rejected import Rejected
from ingest_assets.sources.source import Page, Source
from ingest_assets.sources.values import shortened_json, storable, storable_text
from ingest_assets.storage import writes
from ingest_assets.storage.account_leases import Lease, renew_lease
from ingest_assets.storage.engine import REFUSALS, refused
from ingest_assets.storage.parts import forget_parts, save_parts
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.storage.schema import Columns
from ingest_assets.storage.writes import Counts
from ingest_assets.sync.worker import Worker, who

TOLERATED_DELETIONS = 20  # below this the deleted share says nothing

RowsByTable = Mapping[Table, dict[str, RecordRow]]
"""A page's rows, ready to be copied, by table and external id."""


class PageWriter:
    """Writes the pages of one sync, for as long as its lease holds."""

    def __init__(
        self,
        source: Source,
        account: Account,
        worker: Worker,
        lease: Lease,
        started_at: datetime,
        *,
        is_first: bool,
        any_rejected: bool,
    ) -> None:
        """`is_first`: nothing was read before, so that most rows are new.

        `any_rejected`: the account has rejected items, which go when they are stored after all.
        """
        self.source, self.account, self.lease, self.started_at = source, account, lease, started_at
        self._worker = worker
        self._is_first, self._any_rejected = is_first, any_rejected
        self._absent = 0

    def write(self, page: Page, rows: RowsByTable) -> Counts:
        """Commit a page; where PostgreSQL refuses rows of it, in a second try all but these."""
        try:
            counts = self._write(page, rows, singly=False)
        except REFUSALS as error:
            if not refused(error):
                raise
            self._any_rejected = True
            counts = self._write(page, rows, singly=True)
        self._absent += len(page.gone) + counts.flagged
        self._any_rejected = self._any_rejected or bool(page.rejected)
        return counts

    def _write(self, page: Page, rows: RowsByTable, *, singly: bool) -> Counts:
        """Write a page in one transaction; `singly`: what PostgreSQL refuses is set aside row by row."""
        account_id, workspace_id, main = self.account.account_id, self.account.workspace_id, self.source.main.table
        counts, rejected = Counts(seen=len(page.rejected)), [self._rejected_row(item) for item in page.rejected]
        with self._worker.engine.begin() as conn:
            if not renew_lease(conn, self.lease, self._worker.lease_length):
                raise LeaseLost("taken over: another run or command has this account now")
            for table, by_id in rows.items():
                # in order, so that two accounts that see the same items cannot lock each other out
                ordered = [by_id[key] for key in sorted(by_id)]
                refusals: Sequence[writes.Refusal] = ()
                if singly:
                    written, refusals = writes.upsert_what_fits(conn, table, ordered)
                else:
                    written = writes.upsert(conn, table, ordered, mostly_new=self._is_first)
                counts += written if table is main else Counts()
                rejected += [self._refused_row(table, refusal) for refusal in refusals]
                if self._any_rejected:
                    stored = by_id.keys() - {refusal.row.external_id for refusal in refusals}
                    writes.forget_rejected(conn, table, account_id, list(stored))
            if absent := len(page.gone) + counts.flagged:
                living = writes.stored_rows(conn, main, account_id) + counts.flagged
                self._refuse_mass_deletion(absent, living)
            if going := [*page.gone, *page.left]:
                counts.deleted += writes.mark_deleted(conn, main, account_id, going)
            for kind, external_ids in page.also_gone.items():
                writes.mark_deleted(conn, kind.table, account_id, external_ids)
            counts.rejected = writes.save_rejected(conn, rejected)
            save_parts(conn, [self._part_row(part) for part in page.unreadable])
            forget_parts(conn, account_id, page.read)
            if page.cursor is not None:
                cursor = storable(page.cursor.model_dump(mode="json"))  # it may hold a vendor's ids and names
                writes.save_cursor(conn, account_id, workspace_id, page.stream, cursor)
        return counts

    def _part_row(self, part: UnreadablePart) -> Columns:
        whose = {"account_id": self.account.account_id, "workspace_id": self.account.workspace_id}
        row: Columns = storable({**asdict(part), **whose, "last_tried_at": self.started_at})
        return row

    def _rejected_row(self, item: Rejected) -> Columns:
        what = {"item_key": item.key, "payload": item.json, "error": storable_text(item.error)}
        return self._whose(item.record.table) | what

    def _refused_row(self, table: Table, refusal: writes.Refusal) -> Columns:
        payload = shortened_json(refusal.row.raw.encode())
        return self._whose(table) | {
            "item_key": refusal.row.external_id,
            "payload": payload,
            "error": refusal.reason,
        }

    def _whose(self, table: Table) -> Columns:
        account = self.account
        return {
            "account_id": account.account_id,
            "workspace_id": account.workspace_id,
            "table_name": table.name,
        }

    def _refuse_mass_deletion(self, more: int, stored: int) -> None:
        deleted, before = self._absent + more, self._absent + stored
        if deleted > max(TOLERATED_DELETIONS, self._worker.core.deleted_share * before):
            raise UnexpectedResponse(
                f"{self.source.title} shows {deleted} of {before} stored rows of "
                f"{who(self.source, self.account)} no more; that is too many to believe, so none of these was "
                "marked as deleted. If it is right, raise INGEST_DELETED_SHARE for one sync."
            )
