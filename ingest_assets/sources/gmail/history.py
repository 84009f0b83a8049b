"""What a mailbox's history says has changed since a sync."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.sources.gmail.records import GmailThread, id_of
from ingest_assets.sources.rejected import UNPARSEABLE, Rejected, rejection

REMOVED = "labelsRemoved"
MOVING, LABELLING = ("messagesAdded", "messagesDeleted"), ("labelsAdded", REMOVED)


@dataclass
class Changes:
    """The threads that the history names."""

    reached: str
    """The historyId of the last entry."""
    before: dict[str, str] = field(default_factory=dict)
    """By thread: where the history stood before it named the thread."""
    labels_removed: set[str] = field(default_factory=set)
    """Labels that were taken off a message, by somebody or because they were deleted."""
    labels: dict[str, set[str]] = field(default_factory=dict)
    """By thread: the labels that were put on or taken off."""
    moved: set[str] = field(default_factory=set)
    """Threads that got or lost a message."""
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, entry: Any) -> None:
        """Take in an entry; what it names before it turns out malformed counts."""
        try:
            for message in _messages_in(entry):
                self.before.setdefault(id_of(message, "threadId"), self.reached)
            for kind in LABELLING:
                for change in entry.get(kind, ()):
                    labels = set(change.get("labelIds", ()))
                    self.labels.setdefault(id_of(change["message"], "threadId"), set()).update(labels)
                    self.labels_removed |= labels if kind == REMOVED else set()
            for kind in MOVING:
                self.moved |= {id_of(change["message"], "threadId") for change in entry.get(kind, ())}
            self.reached = id_of(entry, "id")
        except UNPARSEABLE as error:
            self.rejected.append(rejection(GmailThread, entry, error, external_id=None))

    def relabelled(self) -> dict[str, set[str]]:
        """Give the threads of which nothing but labels changed, with these."""
        return {thread: labels for thread, labels in self.labels.items() if thread not in self.moved}


def _messages_in(entry: Any) -> Iterator[Any]:
    """Give the messages that an entry is about, some of them twice."""
    yield from entry.get("messages", ())
    for kind in MOVING + LABELLING:
        for change in entry.get(kind, ()):
            yield change["message"]
