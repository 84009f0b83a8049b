"""What is older than the retention is neither fetched nor stored; maintenance deletes what has become so.

Age is counted from `occurred_at`. A record that is kept `whole` with its conversation (a mail) is as old as that.
What is not kept counts as never read: a cursor covers only what comes after it, so that a longer retention reads
it again as far as the history reaches.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.source import Extraction, Page, Source, Store

OUTSIDE = "older than is kept"
COVERED = ("covered_from", "covered_to")
STARTS, ENDS = ("oldest", "since"), ("latest", "until")
"""What the cursors of the sources call the ends of a range that is still to be read."""
SECONDS = re.compile(r"[0-9]+\.[0-9]{6}", re.ASCII)
"""A moment as Slack writes it; the others' are ISO times."""


def cut(cursor: Json, since: datetime) -> Json:
    """Take back what a cursor says of the time before a moment: neither as read nor as still to be read."""
    changed = {name: later(cursor[name], since) for name in COVERED if isinstance(cursor.get(name), str)}
    if not changed or "unread" not in cursor:
        return cursor | changed
    left = [one for one in cursor["unread"] if all(_moment(one[key]) > since for key in ENDS if key in one)]
    shortened = [{key: later(end, since) if key in STARTS else end for key, end in one.items()} for one in left]
    return cursor | changed | {"unread": shortened}


def later(position: str, since: datetime) -> str:
    """Return the later one of a cursor's position and a moment, in the form of the position."""
    if _moment(position) >= since:
        return position
    return f"{since.timestamp():.6f}" if SECONDS.fullmatch(position) else since.isoformat()


def _moment(position: str) -> datetime:
    if SECONDS.fullmatch(position):
        return datetime.fromtimestamp(float(position), UTC)
    return datetime.fromisoformat(position)


def only_kept(run: Extraction, store: Store) -> tuple[Extraction, Store]:
    """Return what reads and stores nothing from before the retention; it counts what it leaves out."""
    since = run.kept_since
    if since is None:
        return run, store

    async def store_kept(page: Page) -> None:
        whole = {one.external_id for one in page.records if _is_young(one, since)}
        kept = [one for one in page.records if _is_young(one, since) or _belongs(one, whole)]
        if len(kept) < len(page.records):
            run.left_out[OUTSIDE] += len(page.records) - len(kept)
            page = replace(page, records=kept)
        await store(page)

    return replace(run, cursors={stream: cut(cursor, since) for stream, cursor in run.cursors.items()}), store_kept


def _is_young(record: Record, since: datetime) -> bool:
    return not isinstance(record, ConversationRecord) or record.occurred_at >= since


def _belongs(record: Record, conversations: set[str]) -> bool:
    return isinstance(record, ConversationRecord) and record.whole and record.conversation_id in conversations


def tell_shortened(source: Source, options: SourceOptions, tell: Callable[[str], None]) -> None:
    """Tell in a sentence where less is kept than the history would hold."""
    keep, history, name = options.keep_days, options.history_days, options.prefix
    if keep is not None and keep < history:
        tell(
            f"{name}_KEEP_DAYS ({keep:g}) is less than {name}_HISTORY_DAYS ({history:g}): of {source.title} no "
            f"more than {keep:g} days are read."
        )
