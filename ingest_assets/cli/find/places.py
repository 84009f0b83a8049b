"""The rows that are what was looked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Table

from ingest_assets.app import App
from ingest_assets.cli.find.text import Wanted
from ingest_assets.errors import IngestError
from ingest_assets.features.featured import FEATURE_TABLES
from ingest_assets.sources.source import Source
from ingest_assets.sources.transcript_state import HOPE, LISTED, NONE, PENDING, WITHDRAWN
from ingest_assets.storage.engine import gave_way
from ingest_assets.storage.finding import features_of, items_saying, stored_items
from ingest_assets.storage.inspecting import looking
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.trouble import TROUBLES

MOST = 20  # rows of a table
STORED, DELETED, HELD = "stored", "deleted", "held"


@dataclass(frozen=True, kw_only=True)
class Place:
    """One row."""

    state: str
    """stored, deleted (the vendor shows it no more), or held (the same, and an operator is to decide)."""
    source: str
    account: str
    table: str
    id: str
    at: str | None
    since: str
    """When it came."""
    deleted_at: str | None
    title: str | None
    says: str | None
    link: str | None
    transcript: str | None
    """Why there is no transcript, where there should be one."""
    features: str | None
    command: str | None
    """What is to be decided, or can be done."""


def places(
    app: App, workspace_id: str, wanted: Wanted, sources: Sequence[Source], accounts: Mapping[int, StoredRow]
) -> list[Place]:
    """Return the rows. Raises IngestError where looking for words takes too long."""
    found: dict[tuple[str, str], Place] = {}
    with looking(app.engine) as conn:
        for source, sought in wanted.sought:
            if any(place.source == source.name for place in found.values()):
                continue  # a mail has the id of the thread that it began
            table, where = sought.record.table, {sought.column: sought.value}
            for row in stored_items(conn, table, list(accounts), where, in_raw=sought.in_raw, most=MOST):
                place = _place(conn, workspace_id, source, table, row, accounts)
                found.setdefault((place.table, place.id), place)
    if wanted.words and not found:
        found = {(place.table, place.id): place for place in _saying(app, workspace_id, wanted, sources, accounts)}
    return list(found.values())


def _saying(
    app: App, workspace_id: str, wanted: Wanted, sources: Sequence[Source], accounts: Mapping[int, StoredRow]
) -> Iterator[Place]:
    for source in sources:
        table = source.main.table
        try:
            with looking(app.engine) as conn:
                for row in items_saying(conn, table, workspace_id, wanted.words, MOST):
                    yield _place(conn, workspace_id, source, table, row, accounts)
        except TROUBLES as error:
            if not gave_way(error):
                raise
            raise IngestError(
                f"Looking through {table.fullname} takes too long; name an id, a rarer word, or another --source."
            ) from error


def _place(
    conn: Connection,
    workspace_id: str,
    source: Source,
    table: Table,
    row: StoredRow,
    accounts: Mapping[int, StoredRow],
) -> Place:
    account = accounts.get(row.account_id)
    state = DELETED if row.deleted_at else HELD if row.held_since else STORED
    review = f"ingest-assets deletions review --workspace {workspace_id} --source {source.name}"
    return Place(
        state=state,
        source=source.name,
        account="" if account is None else account.name,
        table=table.fullname,
        id=row.external_id,
        at=minute(getattr(row, "occurred_at", None)),
        since=str(minute(row.first_seen_at)),
        deleted_at=minute(row.deleted_at),
        title=row.label,
        says=row.excerpt,
        link=None if account is None or not hasattr(row, "conversation_id") else source.link(row, account),
        transcript=_transcript(row),
        features=_features(conn, workspace_id, table, row),
        command=review if state == HELD else None,
    )


def _transcript(row: StoredRow) -> str | None:
    state = getattr(row, "transcript_state", None)
    if state in {PENDING, LISTED}:
        return f"pending; it is asked for until {minute(row.first_seen_at + HOPE)} UTC, and less often after"
    return {NONE: "the vendor has none", WITHDRAWN: "the vendor shows it no more"}.get(str(state))


def _features(conn: Connection, workspace_id: str, table: Table, row: StoredRow) -> str | None:
    if table not in FEATURE_TABLES:
        return None
    features = features_of(conn, FEATURE_TABLES[table], workspace_id, row.external_id)
    if features is None:
        return "not read by the language model"
    if features.extracted_at is None:
        return f"{features.state}: {features.reason}"
    return f"{features.found} found, as of {minute(features.extracted_at)} UTC ({features.state})"


def minute(moment: datetime | None) -> str | None:
    """Write a moment, in UTC."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
