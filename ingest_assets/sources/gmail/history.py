"""What a mailbox's history says has changed since a sync."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest_assets.sources.gmail.records import GmailThread, id_of
from ingest_assets.sources.rejected import UNPARSEABLE, Rejected, rejection

HISTORY_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
THREAD_ID = re.compile(r"[!-~]{1,200}", re.ASCII)  # Gmail's have 16 hexadecimal digits
REMOVED, DELETED = "labelsRemoved", "messagesDeleted"
MOVING, LABELLING = ("messagesAdded", DELETED), ("labelsAdded", REMOVED)


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
    shrunk: set[str] = field(default_factory=set)
    """Threads that lost a message."""
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, entry: Any) -> None:
        """Take in an entry; what it names before it turns out malformed counts."""
        try:
            for message in _messages_in(entry):
                self.before.setdefault(thread_id_of(message, "threadId"), self.reached)
            for kind in LABELLING:
                for change in entry.get(kind, ()):
                    labels = set(change.get("labelIds", ()))
                    self.labels.setdefault(thread_id_of(change["message"], "threadId"), set()).update(labels)
                    self.labels_removed |= labels if kind == REMOVED else set()
            for kind in MOVING:
                threads = {thread_id_of(change["message"], "threadId") for change in entry.get(kind, ())}
                self.moved |= threads
                self.shrunk |= threads if kind == DELETED else set()
            self.reached = _position(entry)
        except UNPARSEABLE as error:
            self.rejected.append(rejection(GmailThread, entry, error, external_id=None))

    def relabelled(self) -> dict[str, set[str]]:
        """Return the threads of which nothing but labels changed, with these."""
        return {thread: labels for thread, labels in self.labels.items() if thread not in self.moved}


def history_id_of(value: object) -> str | None:
    """Return a historyId, which Google writes as a text of digits; None where it is anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and HISTORY_ID.fullmatch(value) else None


def thread_id_of(item: object, name: str) -> str:
    """Return the id of a thread. Raises KeyError, TypeError or ValueError where it is none to ask for."""
    found = id_of(item, name)
    if not THREAD_ID.fullmatch(found):
        raise ValueError(name)
    return found


def _position(entry: object) -> str:
    found = history_id_of(id_of(entry, "id"))
    if found is None:
        raise ValueError("id")
    return found


def _messages_in(entry: Any) -> Iterator[Any]:
    """Yield the messages that an entry is about, some of them twice."""
    yield from entry.get("messages", ())
    for kind in MOVING + LABELLING:
        for change in entry.get(kind, ()):
            yield change["message"]
