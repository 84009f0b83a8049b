"""What of a channel the audit looks after: messages older than the watch window, and all threads."""

from datetime import timedelta

from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.plan import ChannelCursor, Now, key_of
from ingest_assets.sources.slack.records import at, ts_of
from ingest_assets.sources.slack.stretches import Range, extended

OF_ANY_AGE = "0000000000.000000"
"""Threads that began before all that was read are stored, too, where a broadcast told of them."""


def with_zones(cursor: ChannelCursor, run: SlackExtraction, now: Now) -> ChannelCursor:
    """Grow what is audited by what has become old since."""
    options, audited = run.options, cursor.audited
    watch = run.at_most(timedelta(days=options.watch_days))
    # without it a message is known to have been looked at for as long as it was watched
    known_at = cursor.begun_at or min(at(cursor.covered_from) + watch, now.ours)
    changed: dict[str, object] = {"messages": [], "threads": []}
    if options.audit_days:
        watched_at = cursor.reread_at.get(key_of(watch), at(cursor.covered_from))
        # what was just within the watch window when it was last read whole
        watched_from = cursor.covered_to if cursor.archived else min(ts_of(watched_at - watch), cursor.covered_to)
        changed["messages"] = extended(
            audited.messages,
            Range(oldest=cursor.covered_from, latest=watched_from),
            above=min(at(audited.messages[0].latest) + watch, now.ours) if audited.messages else known_at,
            below=now.ours if audited.messages else known_at,
            period=timedelta(days=options.audit_days),
        )
        changed["messages_days"] = max(audited.messages_days, options.audit_days)
    if options.audit_threads_days:
        changed["threads"] = extended(
            audited.threads,
            Range(oldest=OF_ANY_AGE if run.kept_since is None else cursor.covered_from, latest=cursor.covered_to),
            above=cursor.threads_at,
            below=now.ours if audited.threads else known_at,
            period=timedelta(days=options.audit_threads_days),
        )
        changed["threads_days"] = max(audited.threads_days, options.audit_threads_days)
    return cursor.model_copy(update={"audited": audited.model_copy(update=changed)})
