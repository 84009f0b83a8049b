"""What becomes of rows that a vendor shows no more: marked, kept, or held where they are too many to believe.

A page whose deletions are held commits its rows and not its cursor: the next sync reads the range again, and what
it finds there then leaves the held rows. What earlier pages of the sync have marked is taken back and held, too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Table

from ingest_assets.errors import DeletionsHeld
from ingest_assets.sources.login import Account
from ingest_assets.sources.source import Page, Source
from ingest_assets.storage import held_deletions, writes
from ingest_assets.storage.deletion_tables import REFUSED, WAITING
from ingest_assets.storage.held_deletions import HeldRow
from ingest_assets.storage.record_tables import RecordRow
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.absences import Absences, TooManyDeletions
from ingest_assets.sync.worker import who

TOLERATED_DELETIONS = 20  # below this the deleted share says nothing
MOST_HELD = 50_000  # of one account: the sync ends there, and what is left is held after the decision


class Breaker:
    """The deletions of one sync of one account."""

    def __init__(self, source: Source, account: Account, share: float, entries: Iterable[StoredRow]) -> None:
        """`share`: of the account's rows, which may be marked at once; `entries`: what `load_held` returned."""
        self._source, self._account, self._share = source, account, share
        self._main = source.main.table
        tables = {record.table.name: record.table for record in source.records}
        self._known: dict[Table, dict[str, str]] = {table: {} for table in tables.values()}
        for entry in entries:
            self._known[tables[entry.table_name]][entry.external_id] = entry.decision or WAITING
        self._absent = 0
        self._marked: list[tuple[str | None, str, HeldRow]] = []
        self._stuck: set[str] = set()
        self.instead: list[tuple[Table, RecordRow]] = []
        """What the vendor sent in place of rows that this sync has marked."""
        self.taken_back: Counter[str | None] = Counter()
        """Rows of the main table that were marked by this sync and are held instead, by their pages' labels."""

    @classmethod
    def load(cls, conn: Connection, source: Source, account: Account, share: float) -> "Breaker":
        """Begin a sync with what the ones before held, as far as it still agrees with what is stored."""
        entries = held_deletions.load_held(conn, account.account_id)
        if entries:
            held_deletions.forget_settled(conn, account.account_id, [record.table for record in source.records])
            entries = held_deletions.load_held(conn, account.account_id)
        return cls(source, account, share, entries)

    @property
    def waiting(self) -> int:
        """How many rows wait for a decision, of all tables."""
        return sum(state == WAITING for known in self._known.values() for state in known.values())

    def ids(self, state: str) -> frozenset[str]:
        """Return the rows of the main table in a state."""
        return frozenset(key for key, found in self._known[self._main].items() if found == state)

    def of(self, page: Page, rows: Mapping[Table, Mapping[str, RecordRow]]) -> Absences:
        """Return what a page says is gone, kept rows aside."""
        part = page.part or (f"#{page.label}" if page.label else page.stream) or f"{self._source.noun}s"
        gone = {self._main: page.gone, **{kind.table: ids for kind, ids in page.also_gone.items()}}
        absences = Absences(part, gone={table: ids for table, ids in gone.items() if ids})
        for table, known in self._known.items():
            if not known:
                continue
            sent = rows.get(table, {})
            again = {*page.shown, *page.left} if table is self._main else set()
            again |= {key for key in known.keys() & sent.keys() if not sent[key].deleted}
            absences.shown[table] = known.keys() & again
            still = [one for one in gone.get(table, ()) if known.get(one) != REFUSED]
            absences.gone[table] = still
            absences.holding |= any(known.get(one) == WAITING for one in still)
            absences.holding |= any(
                sent[key].deleted and known[key] == WAITING for key in known.keys() & sent.keys()
            )
        return absences

    def to_write(
        self, conn: Connection, table: Table, rows: Sequence[RecordRow], absences: Absences
    ) -> Sequence[RecordRow]:
        """Leave out living rows that are sent as deleted: they are marked or held as they are stored, or kept.

        What the vendor sends in their place is for the end of the sync, when nothing is taken back any more.
        """
        sent = [row.external_id for row in rows if row.deleted]
        if not sent:
            return rows
        living = writes.living_among(conn, table, self._account.account_id, sent)
        kept = {one for one in living if self._known[table].get(one) == REFUSED}
        absences.flagged += [HeldRow(table, one, flagged=True) for one in sorted(living - kept)]
        absences.instead += [(table, row) for row in rows if row.external_id in living - kept]
        return [row for row in rows if row.external_id not in living]

    def apply(self, conn: Connection, absences: Absences) -> int:
        """Mark or hold what is gone; return how many rows of the main table were marked.

        Raises TooManyDeletions.
        """
        account_id = self._account.account_id
        for table, ids in absences.shown.items():
            held_deletions.release(conn, account_id, table, sorted(ids))
        if absences.holding:
            self._hold(conn, absences)
            return 0
        if new := self._of_main(absences.absent):
            before = self._absent + writes.stored_rows(conn, self._main, account_id)
            absent = len(self.ids(WAITING)) + self._absent + new
            if absent > max(TOLERATED_DELETIONS, self._share * before):
                raise TooManyDeletions
        for table in {row.table for row in absences.absent}:
            flagged = {row.external_id: row.flagged for row in absences.absent if row.table is table}
            marked = writes.mark_deleted(conn, table, account_id, list(flagged))
            absences.marked += [HeldRow(table, one, flagged=flagged[one]) for one in marked]
        return self._of_main(absences.marked)

    def _of_main(self, rows: Iterable[HeldRow]) -> int:
        return sum(row.table is self._main for row in rows)

    def _hold(self, conn: Connection, absences: Absences) -> None:
        account = self._account
        parts: defaultdict[str, list[HeldRow]] = defaultdict(list)
        for table in {row.table for _label, _part, row in self._marked}:
            marked = {row.external_id: (part, row.flagged) for _, part, row in self._marked if row.table is table}
            for one in writes.unmark_deleted(conn, table, account.account_id, list(marked)):
                part, flagged = marked[one]
                parts[part].append(HeldRow(table, one, flagged=flagged))
        parts[absences.part] += absences.absent
        room = max(0, MOST_HELD - self.waiting)
        for part, rows in parts.items():
            known = [row for row in rows if row.external_id in self._known[row.table]]
            new = [row for row in rows if row.external_id not in self._known[row.table]][:room]
            room -= len(new)
            held_deletions.hold(conn, account.account_id, account.workspace_id, part, known + new)
            absences.held += known + new

    def committed(self, page: Page, absences: Absences) -> None:
        """Take note of a page that was committed. Raises DeletionsHeld where no more is held."""
        for table, ids in absences.shown.items():
            for one in ids:
                self._known[table].pop(one, None)
        self._absent += self._of_main(absences.marked)
        self._marked += [(page.label, absences.part, row) for row in absences.marked]
        if not absences.holding:
            self.instead += absences.instead
            return
        self.instead = []
        self._stuck.add(page.stream)
        for row in absences.held:
            self._known[row.table][row.external_id] = WAITING
        back = [label for label, _part, row in self._marked if row.table is self._main]
        self.taken_back.update(back)
        self._absent -= len(back)
        self._marked = []
        if self.waiting >= MOST_HELD:
            raise self.error()

    def stuck(self, stream: str) -> bool:
        """Tell whether a stream's cursor has to stay, since deletions of it are held."""
        return stream in self._stuck or "" in self._stuck

    def error(self, stored: int | None = None) -> DeletionsHeld:
        """Say what waits for a decision; `stored`: how many rows there are, where that was counted."""
        waiting = len(self.ids(WAITING)) or self.waiting
        of = f"{waiting} stored rows or more" if stored is None else f"{waiting} of {stored} stored rows"
        source, workspace = self._source, self._account.workspace_id
        return DeletionsHeld(
            f"{source.title} shows {of} of {who(source, self._account)} no more; that is too many to believe, so "
            "none of these is marked as deleted before an operator decides: `ingest-assets deletions review "
            f"--workspace {workspace} --source {source.name}` shows which they are."
        )
