"""Take a person out of what is stored of one workspace.

    who else they are -> rows, their versions, features -> versions of what no longer names them -> rejected items
    -> what we wrote ourselves

The list stands before anything is looked through (`sync.suppressing`), so no write brings back what was taken out.
Each step is a transaction; one that was killed is done again: what shows whose a row is, goes last.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, Table

from ingest_assets.sources.people import ERASED
from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.source import Source
from ingest_assets.storage import erasing, erasing_payloads, erasing_versions
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.suppressed import People, suppress
from ingest_assets.sync.door import taken_out
from ingest_assets.sync.erased_rows import as_it_was, record_of, summed_up
from ingest_assets.sync.person import Person
from ingest_assets.sync.withheld import WITHHELD, holds

Owner = int | str


@dataclass
class Erasing:
    """One workspace while it is looked through; `write`: False only counts."""

    engine: Engine
    sources: Sequence[Source]
    features: Mapping[Table, Table]
    """Of a table of records, the one of what was found in them."""
    people: People
    workspace_id: str
    owners: Mapping[str, Sequence[int]]
    """The accounts of the workspace by source."""
    person: Person | None
    """None: whoever is on the list, of whom nothing else is known. Every row is read."""
    write: bool
    counts: Counter[str] = field(default_factory=Counter)
    also_called: set[str] = field(default_factory=set)
    _conversations: set[str] = field(default_factory=set)
    """With a mail of the person: other mail in them may quote it."""
    _pattern: str | None = None

    def run(self) -> Counter[str]:
        """Look through everything; return how many rows changed, by table."""
        self._identify(None if self.person is None else self.person.pattern())
        for source in self.sources:
            for record in [*reversed(source.assets), *source.directories]:  # whose an id is, goes last
                self._table(source, record)
        for source in self.sources:
            for record in source.records:
                self._old_versions(record)
        self._rejected()
        if self.person is not None and self.write:
            words = erasing_payloads.clean_our_words(
                self.engine, self.workspace_id, self.person.exact_pattern, ERASED
            )
            for table, count in words:
                self._count(table, count)
        return self.counts

    def _count(self, table: Table | str, rows: int) -> None:
        if rows:
            self.counts[str(table)] += rows

    def _owners(self, source: Source, record: type[Record]) -> Sequence[Owner]:
        return [self.workspace_id] if record.shared else self.owners.get(source.name, ())

    def _identify(self, pattern: str | None) -> None:
        """Find what else vendors call the person, and put it on the list before anything is looked through."""
        ids: set[str] = set()
        for source in self.sources:
            for record in (record for record in source.records if record.personal.also_called):
                found = self._own(source, record, pattern)
                self.people.add(found)
                self.also_called |= found
                if self.write:
                    with self.engine.begin() as conn:
                        suppress(conn, self.people, self.workspace_id, found)
                if not issubclass(record, ConversationRecord):
                    ids |= found
        self._pattern = None if self.person is None else self.person.pattern(ids)

    def _own(self, source: Source, record: type[Record], pattern: str | None) -> set[str]:
        """Return further names of a person in a table, and note the conversations that they took part in."""
        found: set[str] = set()
        where = erasing.owned(record.table, record.personal.owner, pattern)
        for owner in self._owners(source, record):
            for rows in erasing.found_rows(self.engine, record.table, owner, where, light=True):
                for row in rows:
                    if record.personal.owned(row, self.people):
                        found |= {value for name in record.personal.also_called if (value := getattr(row, name))}
                        self._conversations |= {getattr(row, "conversation_id", "")} - {""}
        return found

    def _table(self, source: Source, record: type[Record]) -> None:
        quoted = issubclass(record, ConversationRecord) and bool(record.personal.also_called)
        conversations = sorted(self._conversations) if quoted else ()
        where = erasing.matching(
            record.table, self._pattern, beside_raw=record.telling, conversations=conversations
        )
        for owner in self._owners(source, record):
            for own in (False, True) if quoted else (None,):
                for rows in erasing.found_rows(self.engine, record.table, owner, where):
                    self._rows(source, record, owner, rows, own=own)

    def _rows(
        self, source: Source, record: type[Record], owner: Owner, rows: Sequence[StoredRow], *, own: bool | None
    ) -> None:
        """Take the person out of some rows; `own`: only of their own, or only of other people's."""
        if self._pattern is None:
            rows = [row for row in rows if self._may_hold(record, row)]
        with self.engine.connect() as conn:
            beside = record.beside(conn, rows) if rows else None
        changes: list[tuple[StoredRow, Record]] = []
        for row in rows:
            if own is None or own == record.personal.owned(row, self.people):
                before = record_of(record, row, beside)
                after = taken_out(before, self.people)
                if after is not before or (record.sums_up and after.row().content_hash != row.content_hash):
                    changes.append((row, after))
        self._count(record.table, len(changes))
        if changes and self.write:
            with self.engine.begin() as conn:
                self._versions(conn, record, [row for row, _ in changes])
                erasing.replace_rows(conn, record.table, [(row, made.row()) for row, made in changes])
                self._follow(conn, source, record, owner, [row for row, _ in changes])

    def _may_hold(self, record: type[Record], row: StoredRow) -> bool:
        values = [row.raw, *(value for name in record.own_fields if isinstance(value := getattr(row, name), str))]
        return holds(record, values, self.people, encoded=False)

    def _follow(
        self, conn: Connection, source: Source, record: type[Record], owner: Owner, rows: Sequence[StoredRow]
    ) -> None:
        """Change in the same transaction what was made of some rows: what sums them up, and features."""
        if record.table in self.features:
            ids, features = [row.external_id for row in rows], self.features[record.table]
            self._count(features, erasing.drop_features(conn, features, self.workspace_id, ids))
        for kind in source.records:
            if kind.sums_up is record:
                ids = sorted({row.conversation_id for row in rows})
                sums = erasing.rows_of(conn, kind.table, owner, ids)
                beside = kind.beside(conn, sums)
                made = [(row, summed_up(kind, row, beside, self.people).row()) for row in sums]
                changes = [(row, new) for row, new in made if new.content_hash != row.content_hash]
                erasing.replace_rows(conn, kind.table, changes)
                self._count(kind.table, len(changes))
                erasing_versions.clear_texts(conn, kind.table, self.workspace_id, ids)

    def _versions(self, conn: Connection, record: type[Record], rows: Sequence[StoredRow]) -> None:
        """Take the person out of all versions of some rows."""
        ids = {row.external_id: row for row in rows}
        if record.sums_up is not None:
            erasing_versions.clear_texts(conn, record.table, self.workspace_id, list(ids))
            return
        for versions in erasing_versions.versions_of(conn, record.table, self.workspace_id, list(ids)):
            self._replace_versions(conn, record, versions, ids)

    def _old_versions(self, record: type[Record]) -> None:
        """Do it with the versions that hold the person where the row does not any more."""
        for versions in erasing_versions.found_versions(
            self.engine, record.table, self.workspace_id, self._pattern
        ):
            with self.engine.begin() as conn:
                current: dict[str, StoredRow] = {}
                for owner in {self.workspace_id} if record.shared else {row.account_id for row in versions}:
                    ids = [row.external_id for row in versions]
                    current |= {row.external_id: row for row in erasing.rows_of(conn, record.table, owner, ids)}
                self._replace_versions(conn, record, versions, current)

    def _replace_versions(
        self,
        conn: Connection,
        record: type[Record],
        versions: Iterable[StoredRow],
        current: Mapping[str, StoredRow],
    ) -> None:
        for version in versions:
            made = as_it_was(conn, record, version, current.get(version.external_id), self.people)
            if made is not None:
                self._count("raw.versions", 1)
                if self.write:
                    erasing_versions.replace_version(conn, version, *made)

    def _rejected(self) -> None:
        """Withhold what is kept of rejected items in which the person is, wherever that is."""
        kinds = {record.table.name: record for source in self.sources for record in source.records}
        for row in erasing_payloads.found_rejected(self.engine, self.workspace_id):
            if row.payload != WITHHELD and holds(kinds.get(row.table_name, Record), row.payload, self.people):
                self._count("ingest.rejected_records", 1)
                if self.write:
                    with self.engine.begin() as conn:
                        erasing_payloads.replace_payload(conn, row, WITHHELD)
