"""What was read, and what is missing: the view `ingest.coverage` (migration 0015)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, column, select, table

COLUMNS = ("source", "account", "part", "range_from", "range_to", "read_at", "state", "reason")
COVERED, ACKNOWLEDGED, AUDITED = "covered", "acknowledged", "audited"
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
