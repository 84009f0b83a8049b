"""What a mailbox's history says has changed since a sync."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.sources.base import UNPARSEABLE, Rejected, rejection
from ingest_assets.sources.gmail.records import GmailThread, id_of

KINDS = ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved")


@dataclass
class Changes:
    """The threads that the history names."""

    reached: str
    """The historyId of the last entry."""
    before: dict[str, str] = field(default_factory=dict)
    """By thread: where the history stood before it named the thread."""
    labels_removed: set[str] = field(default_factory=set)
    """Labels that were taken off a message, by somebody or because they were deleted."""
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, entry: Any) -> None:
        """Take in an entry; what it names before it turns out malformed counts."""
        try:
            for message in _messages_in(entry):
                self.before.setdefault(id_of(message, "threadId"), self.reached)
            for change in entry.get("labelsRemoved", ()):
                self.labels_removed.update(change.get("labelIds", ()))
            self.reached = id_of(entry, "id")
        except UNPARSEABLE as error:
            self.rejected.append(rejection(GmailThread, entry, error, external_id=None))


def _messages_in(entry: Any) -> Iterator[Any]:
    """Give the messages that an entry is about, some of them twice."""
    yield from entry.get("messages", ())
    for kind in KINDS:
        for change in entry.get(kind, ()):
            yield change["message"]
