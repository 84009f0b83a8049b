"""What one page says is gone, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table

from ingest_assets.storage.held_deletions import HeldRow
from ingest_assets.storage.record_tables import RecordRow


class TooManyDeletions(Exception):
    """A page's deletions are not to be believed: it is to be written anew, without them."""


@dataclass
class Absences:
    """What one page says is gone, and what becomes of it."""

    part: str
    gone: dict[Table, Sequence[str]]
    """Without rows that are kept."""
    holding: bool = False
    shown: dict[Table, set[str]] = field(default_factory=dict)
    """Rows that were held or decided on, and that the vendor shows again."""
    flagged: list[HeldRow] = field(default_factory=list)
    """Living rows that the vendor sent as deleted, kept ones aside."""
    instead: list[tuple[Table, RecordRow]] = field(default_factory=list)
    """What the vendor sent of these."""
    held: list[HeldRow] = field(default_factory=list)
    marked: list[HeldRow] = field(default_factory=list)

    @property
    def absent(self) -> list[HeldRow]:
        """Return all that is gone."""
        return self.flagged + [HeldRow(table, one) for table, ids in self.gone.items() for one in ids]
