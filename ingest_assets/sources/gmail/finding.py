"""Why mail may not be here, by a mailbox's cursor, and by Gmail itself."""

from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime

from ingest_assets.errors import SourceError
from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailLogin, GmailSettings
from ingest_assets.sources.gmail.extract import MailboxCursor
from ingest_assets.sources.gmail.records import HIDDEN, GmailThread, at, labels_of
from ingest_assets.sources.gmail.threads import MAILBOX
from ingest_assets.sources.json_values import Json, list_of, mappings_in
from ingest_assets.sources.locating import Covered, Shown, Sought

OTHER_LABELS = "under none of the labels that the mailbox was told to read"
EXCLUDED = "under a label that the mailbox was told to leave out"


def covered(cursors: Mapping[str, Json], _sought: Sought) -> Covered | None:
    """Return since when the mailbox is read; None where it never was."""
    if MAILBOX not in cursors:
        return None
    return Covered(since=MailboxCursor.model_validate(cursors[MAILBOX]).covered_from, until=None)


async def shows(login: GmailLogin, sought: Sought) -> Shown | None:
    """Ask for a thread by its id, or search for a mail by its Message-ID; None for a message's id.

    Raises SourceError.
    """
    async with GmailClient.open(login) as client:
        if sought.column == "rfc822_message_id":
            async with aclosing(
                client.threads_list(f"rfc822msgid:{sought.value.strip('<>')}", None, page=1)
            ) as pages:
                async for threads in pages:
                    if threads:
                        return Shown(shown=True)
            return Shown(shown=False)
        if sought.record is not GmailThread:
            return None
        async with aclosing(client.threads([sought.value])) as answers:
            async for found in answers:
                thread = found.get(sought.value)
                if isinstance(thread, SourceError):
                    raise thread
                if thread is not None:
                    return _thread(login.settings, thread)
    return Shown(shown=False)


def _thread(settings: GmailSettings, thread: Json) -> Shown:
    at, mail = _newest(thread), [set(labels_of(dict(one))) for one in mappings_in(thread.get("messages"))]
    labels = set().union(*mail)
    if all(one & HIDDEN for one in mail):
        return Shown(shown=True, at=at, left_out="in spam or trash, or a draft, none of which is stored")
    if settings.labels and not labels & set(settings.labels):
        own = min(labels, key=lambda one: (not one.startswith("Label_"), one), default="INBOX")
        return Shown(shown=True, at=at, left_out=OTHER_LABELS, chosen={"labels": (*settings.labels, own)})
    if unwanted := labels & set(settings.exclude_labels):
        kept = tuple(one for one in settings.exclude_labels if one not in unwanted)
        return Shown(shown=True, at=at, left_out=EXCLUDED, chosen={"exclude_labels": kept})
    return Shown(shown=True, at=at)


def _newest(thread: Json) -> datetime | None:
    moments = [one.get("internalDate") for one in mappings_in(list_of(thread.get("messages")))]
    return max((at(one) for one in moments if isinstance(one, str) and one.isdecimal()), default=None)
