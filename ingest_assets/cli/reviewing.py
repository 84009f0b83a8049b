"""What `ingest-assets deletions` decides on: the chosen accounts, their held rows, and how these are shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby

from ingest_assets.app import App
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.decisions import find_held, sample
from ingest_assets.storage.schema import Columns, StoredRow
from ingest_assets.storage.workspaces import unknown_workspaces

WORDED = 5  # rows of a part with their first words


@dataclass(frozen=True)
class Chosen:
    """The accounts of a workspace, of one source or of one name."""

    workspace: str
    source: str | None
    account: str | None

    def __str__(self) -> str:
        """Write them as options of a command."""
        return " ".join(f"--{name} {value}" for name, value in asdict(self).items() if value is not None)

    def held(self, app: App, decision: str | None, review: str | None = None) -> Sequence[StoredRow]:
        """Return their held rows. Raises IngestError where there is no such workspace."""
        with app.engine.connect() as conn:
            if unknown_workspaces(conn, [self.workspace]):
                raise unknown_workspace(conn, self.workspace, self.source)
            return find_held(
                conn, self.workspace, source=self.source, account=self.account, decision=decision, review=review
            )


def parts_of(app: App, rows: Sequence[StoredRow]) -> list[Columns]:
    """Return an entry for each part: how many rows, of which time, which ids, and the first words of some."""
    ordered = sorted(rows, key=_part)
    return [_entry(app, list(some)) for _key, some in groupby(ordered, key=_part)]


def _part(row: StoredRow) -> tuple[str, str, str, str]:
    return row.source, row.account, row.part, row.table_name


def _entry(app: App, rows: Sequence[StoredRow]) -> Columns:
    first = rows[0]
    [table] = [one.table for one in BY_NAME[first.source].records if one.table.name == first.table_name]
    with app.engine.connect() as conn:
        span, words = sample(conn, table, [row.held_id for row in rows], WORDED)
    return {
        "source": first.source,
        "account": first.account,
        "part": first.part,
        "table": first.table_name,
        "rows": len(rows),
        "flagged": sum(row.flagged for row in rows),
        "from": _minute(span.first),
        "to": _minute(span.last),
        "since": _minute(min(row.first_seen_at for row in rows)),
        "ids": [row.external_id for row in rows],
        "words": [{"id": one.external_id, "at": _minute(one.occurred_at), "words": one.words} for one in words],
    }


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def what_to_do(chosen: Chosen, number: str | None, count: int, *, kept: bool) -> str:
    """Return the last line of a review."""
    if number is None:
        return "No row is kept that its vendor no longer shows." if kept else "No row waits for a decision."
    accept = f"`ingest-assets deletions accept {chosen} {'--kept ' if kept else ''}--review {number}`"
    if kept:
        return f"{count} rows are kept. {accept} marks them as deleted after all."
    return f"{count} rows wait. {accept} marks them as deleted; `refuse` in place of `accept` keeps them."
