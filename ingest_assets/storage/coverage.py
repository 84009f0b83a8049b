"""What was read, and what is missing: the view `ingest.coverage` (migration 0018)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, column, distinct, func, select, table, text
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.types import Text

from ingest_assets.storage.schema import StoredRow

COLUMNS = ("source", "account", "part", "range_from", "range_to", "read_at", "state", "reason")
UNREAD, UNREADABLE = "unread", "unreadable"
COVERED, ACKNOWLEDGED, AUDITED, LEFT_OUT, KEPT = "covered", "acknowledged", "audited", "left out", "kept"
NO_GAPS = frozenset({COVERED, ACKNOWLEDGED, AUDITED, LEFT_OUT, KEPT})
"""States of which an operator knows, or wants it so."""
NAMED = 5  # gaps in one sentence; the others are counted
_VIEW = table("coverage", *(column(name) for name in ("workspace_id", *COLUMNS)), schema="ingest")


def find_coverage(conn: Connection, workspace_id: str, source: str | None = None) -> Sequence[Any]:
    """Return a row for each range of a part that was read, and one for each thing that is missing.

    Columns: COLUMNS. `range_from` and `range_to` are null where they are unknown or open.
    """
    query = (
        select(*(_VIEW.c[name] for name in COLUMNS))
        .where(_VIEW.c.workspace_id == workspace_id)
        .order_by(_VIEW.c.source, _VIEW.c.account, _VIEW.c.state != COVERED, _VIEW.c.part, _VIEW.c.range_from)
    )
    return conn.execute(query if source is None else query.where(_VIEW.c.source == source)).all()


def unread_reasons(
    conn: Connection, account: StoredRow, since: datetime, until: datetime
) -> Sequence[tuple[str, str]] | None:
    """Return (part, reason) of what of a range is still to be read; None where it was not to be read so far back.

    Parts that cannot be read are left out.
    """
    rows = [
        row for row in find_coverage(conn, account.workspace_id, account.source) if row.account == account.name
    ]
    told = {row.part for row in rows if row.state in {UNREADABLE, ACKNOWLEDGED}}
    covered = [row.range_from for row in rows if row.state == COVERED and row.part not in told]
    if not covered or max(covered) > since:
        return None
    unread = [row for row in rows if row.state == UNREAD and row.range_from < until and since < row.range_to]
    return sorted({(row.part, row.reason) for row in unread if row.part not in told})


@dataclass(frozen=True)
class Completeness:
    """What was read of a workspace at a source, summed up."""

    workspace_id: str
    covered_from: datetime | None
    """Each part was read from here ..."""
    covered_to: datetime | None
    """... to here; None where nothing was read."""
    gaps: int
    reasons: Sequence[str]
    """Of the first NAMED gaps."""

    @property
    def complete(self) -> bool:
        return self.covered_to is not None and not self.gaps

    @property
    def words(self) -> str:
        """Return the gaps in words; of a complete one nothing that another look would say differently."""
        if self.complete:
            return "nothing is missing"
        more = f"; and {self.gaps - len(self.reasons)} more" if self.gaps > len(self.reasons) else ""
        return "; ".join(self.reasons) + more or "nothing was read"


def completeness(
    conn: Connection, source: str, workspace_ids: Sequence[str] | None = None
) -> dict[str, Completeness]:
    """Sum up the coverage of all workspaces of a source, or of some, by one statement."""
    view = _VIEW.c
    covered, missing = view.state == COVERED, view.state.not_in(NO_GAPS)
    words: Any = view.part + ": " + view.reason
    ordered: Any = aggregate_order_by(distinct(words), words)
    named: Any = func.array_agg(ordered, type_=ARRAY(Text())).filter(missing)
    query = (
        select(
            view.workspace_id,
            func.max(view.range_from).filter(covered).label("covered_from"),
            func.min(view.range_to).filter(covered).label("covered_to"),
            func.count(distinct(words)).filter(missing).label("gaps"),
            func.coalesce(named[1:NAMED], text("'{}'::text[]")).label("reasons"),
        )
        .where(view.source == source)
        .group_by(view.workspace_id)
    )
    if workspace_ids is not None:
        query = query.where(view.workspace_id == func.any(list(workspace_ids)))
    return {row.workspace_id: Completeness(*row) for row in conn.execute(query)}
