"""One page into the database: rows, deletions, rejected items, parts and the cursor, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Table

from ingest_assets.errors import LeaseLost
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
from ingest_assets.sync.absences import Absences, TooManyDeletions
from ingest_assets.sync.breaker import Breaker
from ingest_assets.sync.worker import Worker

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
        breaker: Breaker,
        *,
        stage: Callable[[], Columns],
        is_first: bool,
        any_rejected: bool,
    ) -> None:
        """`stage`: how far the sync has come, which its account's row tells until it ends.

        `is_first`: nothing was read before, so that most rows are new.
        `any_rejected`: the account has rejected items, which go when they are stored after all.
        """
        self.source, self.account, self.lease, self.started_at = source, account, lease, started_at
        self._worker, self.breaker = worker, breaker
        self._stage, self._is_first, self._any_rejected = stage, is_first, any_rejected

    def write(self, page: Page, rows: RowsByTable) -> Counts:
        """Commit a page; where PostgreSQL refuses rows of it, in a second try all but these.

        Where it says of too many rows that they are gone, these are held. Raises DeletionsHeld where no more is.
        """
        absences, singly = self.breaker.of(page, rows), False
        while True:
            absences = replace(absences, flagged=[], instead=[], held=[], marked=[])
            try:
                counts = self._write(page, rows, absences, singly=singly)
                break
            except TooManyDeletions:
                absences.holding = True
            except REFUSALS as error:
                if singly or not refused(error):
                    raise
                self._any_rejected = singly = True
        self.breaker.committed(page, absences)
        self._any_rejected = self._any_rejected or bool(page.rejected)
        return counts

    def finish(self) -> None:
        """Store what the vendor sent in place of rows that were marked; if this is missed, the next read does."""
        rows = self.breaker.instead
        if not rows:
            return
        with self._worker.engine.begin() as conn:
            if renew_lease(conn, self.lease, self._worker.lease_length):
                for table in {table for table, _row in rows}:
                    by_id = {row.external_id: row for of, row in rows if of is table}
                    writes.upsert_what_fits(conn, table, [by_id[key] for key in sorted(by_id)])

    def _write(self, page: Page, rows: RowsByTable, absences: Absences, *, singly: bool) -> Counts:
        """Write a page in one transaction; `singly`: what PostgreSQL refuses is set aside row by row."""
        account_id, workspace_id, main = self.account.account_id, self.account.workspace_id, self.source.main.table
        counts, rejected = Counts(seen=len(page.rejected)), [self._rejected_row(item) for item in page.rejected]
        with self._worker.engine.begin() as conn:
            if not renew_lease(conn, self.lease, self._worker.lease_length, stage=self._stage()):
                raise LeaseLost("taken over: another run or command has this account now")
            for table, by_id in rows.items():
                # in order, so that two accounts that see the same items cannot lock each other out
                ordered = self.breaker.to_write(conn, table, [by_id[key] for key in sorted(by_id)], absences)
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
            counts.deleted += self.breaker.apply(conn, absences)
            if page.left:
                counts.deleted += len(writes.mark_deleted(conn, main, account_id, page.left))
            if page.then is not None:
                page.then(conn)
            counts.rejected = writes.save_rejected(conn, rejected)
            save_parts(conn, [self._part_row(part) for part in page.unreadable])
            forget_parts(conn, account_id, page.read)
            if page.cursor is not None and not (absences.holding or self.breaker.stuck(page.stream)):
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
