"""How far back an account is read, where somebody wants another history than the source's setting."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from ingest_assets.errors import IngestError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.source import DAY, Source
from ingest_assets.storage.accounts import set_history
from ingest_assets.storage.schema import PAUSED, StoredRow

FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # no vendor of ours is older, and times of theirs are counted from 1970


def history_from(row: StoredRow, options: SourceOptions, now: datetime) -> datetime:
    """Return from when on an account is read."""
    chosen: datetime | None = row.history_from
    return now - timedelta(days=options.history_days) if chosen is None else chosen.astimezone(UTC)


def want_history(
    engine: Engine, source: Source, row: StoredRow, options: SourceOptions, since: datetime, now: datetime
) -> bool:
    """Have an account read from a moment on; false where it is read from before it, which stays so.

    Raises IngestError where it cannot be read so far back.
    """
    require_readable(source, row, options, since, now)
    if row.last_sync_at is not None and history_from(row, options, now) <= since:
        return False
    with engine.begin() as conn:
        set_history(conn, row.account_id, since)
    return True


def require_readable(
    source: Source, row: StoredRow, options: SourceOptions, since: datetime, now: datetime
) -> None:
    """Raise IngestError where an account cannot be read from a moment on."""
    who = f"{source.title} account {row.name!r} of workspace {row.workspace_id}"
    settings = source.settings.model_validate(row.settings)
    kept = settings.kept_since(options, now)
    newest = [
        name for name in type(settings).model_fields if name.startswith("newest_") and row.settings.get(name)
    ]
    if since >= now:
        raise IngestError(f"{since:%Y-%m-%d %H:%M} UTC lies in the future; choose an earlier time.")
    if since < FIRST:
        raise IngestError(f"{since:%Y-%m-%d} is too long ago; choose {FIRST:%Y-%m-%d} or later.")
    if row.state == PAUSED:
        resume = f"ingest-assets resume {source.name} --workspace {row.workspace_id}"
        raise IngestError(f"The {who} is paused; `{resume}` lets it go on.")
    if settings.last_hours is not None:
        raise IngestError(
            f"The {who} reads its last {settings.last_hours:g} hours only; connect it again without --last-hours."
        )
    if newest:
        option = newest[0].replace("_", "-")
        raise IngestError(f"The {who} takes only the newest of each look; connect it again without --{option}.")
    if kept is not None and since < kept:
        raise IngestError(
            f"Of the {who} nothing from before {kept:%Y-%m-%d %H:%M} UTC is kept, so nothing older is read; "
            f"choose {kept + DAY:%Y-%m-%d} or later, or keep more (--keep-days, {options.prefix}_KEEP_DAYS)."
        )
