"""The door between records and what is stored: no erased person passes it.

All that writes records goes through it: a sync's pages, and the replay of rejected items. Deriving rows anew reads
what passed it before. What is taken out, each class of records says (`Record.personal`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.rejected import UNPARSEABLE, Rejected
from ingest_assets.sources.source import Page
from ingest_assets.storage.erasing_versions import drop_new_versions
from ingest_assets.storage.suppressed import People, suppress
from ingest_assets.sync.withheld import WITHHELD, holds

Then = Callable[[Connection], None]


def taken_out(record: Record, people: People) -> Record:
    """Return a record without erased people; where that cannot be told apart, with nothing but its place."""
    try:
        made = record.without(people)
        made.row()
    except UNPARSEABLE:
        return record.emptied(people)
    return made


@dataclass
class Door:
    """Takes erased people out of one workspace's records, and puts on the list what else they are called."""

    people: People
    workspace_id: str

    def page(self, page: Page) -> Page:
        """Return a page without erased people."""
        records, suppressing = self.records(page.records)

        def then(conn: Connection) -> None:
            suppressing(conn)
            if page.then is not None:
                page.then(conn)

        return replace(page, records=records, rejected=[self._item(item) for item in page.rejected], then=then)

    def _item(self, item: Rejected) -> Rejected:
        if not holds(item.record, item.payload, self.people):
            return item
        return replace(item, payload=WITHHELD, external_id=item.key)

    def records(self, records: Sequence[Record]) -> tuple[list[Record], Then]:
        """Return records without erased people, and what is to be written after them in their transaction.

        That is the list, with what else these people are called, and no version of what changed rows held before.
        """
        known, found = self._also_called(records)
        made = [taken_out(record, self.people) for record in records]
        changed = [after for before, after in zip(records, made, strict=True) if after is not before]

        def then(conn: Connection) -> None:
            suppress(conn, self.people, self.workspace_id, found)
            suppress(conn, self.people, self.workspace_id, known, erased=True)
            for table in {record.table for record in changed}:
                ids = [record.external_id for record in changed if record.table is table]
                drop_new_versions(conn, table, self.workspace_id, ids)

        return made, then

    def _also_called(self, records: Sequence[Record]) -> tuple[list[str], list[str]]:
        """Return further ids of erased people: those of mail, and those that stored rows may hold.

        Mail is found by the ids of what it answers. An id of a person may stand in rows from before it was known
        whose it is: these are looked through later (`unfinished_scopes`).
        """
        mail: list[str] = []
        others: list[str] = []
        for record in records:
            names = record.personal.also_called
            if not names or not record.personal.owned(record, self.people):
                continue
            values = [value for name in names if isinstance(value := getattr(record, name), str)]
            new = [value for value in values if not self.people.includes(value)]
            (mail if isinstance(record, ConversationRecord) else others).extend(new)
            self.people.add(new)
        return mail, others
