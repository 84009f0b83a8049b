"""One channel's messages, kept sorted and already serialised.

A message is stored as the JSON it would have without its thread. Thread fields change whenever a reply comes
or goes, so they are merged in when the message is next read, and that result is kept until the next change.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingest_simulator.errors import OrderError
from ingest_simulator.slack.timestamps import format_ts
from ingest_simulator.wire import Json

Payload = Json


def packed(payload: object) -> bytes:
    """Return the JSON of a message, in no more memory than it needs."""
    # orjson hands out generously sized buffers: kept as they are, a large world takes six times the space
    return bytes(memoryview(orjson.dumps(payload)))


@dataclass(slots=True, eq=False)
class Item:
    """A message: its place in time, its JSON, and the thread it begins or belongs to."""

    key: int
    raw: bytes
    author: str = ""
    broadcast: bool = False
    begins: "Thread | None" = None
    belongs_to: "Thread | None" = None
    _in_history: bytes | None = None
    _in_thread: bytes | None = None

    def payload(self) -> Any:
        """Return the message without thread fields; raw insertions may be anything."""
        return orjson.loads(self.raw)

    def rewrite(self, payload: object) -> None:
        """Replace the message's own content."""
        self.raw = packed(payload)
        self.stale()
        if self.begins is not None:
            self.begins.stale()

    def stale(self) -> None:
        """Forget the serialised forms."""
        self._in_history = self._in_thread = None

    def visible(self) -> Any:
        """Return the message as conversations.history shows it."""
        payload = self.payload()
        if not isinstance(payload, dict):
            return payload
        if self.begins is not None:
            # what was inserted on purpose wins over what is computed
            return self.begins.fields() | payload
        if self.broadcast and self.belongs_to is not None:
            return payload | {"root": self.belongs_to.parent.visible()}
        return payload

    def in_history(self) -> bytes:
        """Return the JSON of the message in conversations.history."""
        if self._in_history is None:
            plain = self.begins is None and not self.broadcast
            self._in_history = self.raw if plain else packed(self.visible())
        return self._in_history

    def in_thread(self) -> bytes:
        """Return the JSON of the message in conversations.replies."""
        if self.begins is None:
            return self.in_history()
        if self._in_thread is None:
            extra = {"last_read": self.begins.latest(), "unread_count": 0, "subscribed": True}
            self._in_thread = packed(self.visible() | extra)
        return self._in_thread


@dataclass(slots=True, eq=False)
class Line:
    """Messages sorted by time."""

    keys: list[int] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Insert in place; appending is the cheap case."""
        place = bisect_right(self.keys, item.key)
        self.keys.insert(place, item.key)
        self.items.insert(place, item)

    def remove(self, item: Item) -> None:
        """Take one message out."""
        place = bisect_left(self.keys, item.key)
        del self.keys[place], self.items[place]

    def span(self, first: int | None, last: int | None) -> tuple[int, int]:
        """Return the half-open range of places whose keys lie between two keys, both included."""
        low = 0 if first is None else bisect_left(self.keys, first)
        high = len(self.keys) if last is None else bisect_right(self.keys, last)
        return low, max(low, high)


@dataclass(slots=True, eq=False)
class Thread:
    """The replies to one message."""

    parent: Item
    replies: Line = field(default_factory=Line)

    def latest(self) -> str:
        """Return the timestamp of the newest reply."""
        return format_ts(self.replies.keys[-1])

    def fields(self) -> Payload:
        """Return what a thread adds to its parent message."""
        users = list(dict.fromkeys(reply.author for reply in self.replies.items))
        return {
            "thread_ts": format_ts(self.parent.key),
            "reply_count": len(self.replies.items),
            "reply_users_count": len(users),
            "latest_reply": self.latest(),
            "reply_users": users,
            "is_locked": False,
            "subscribed": False,
        }

    def stale(self) -> None:
        """Forget the serialised forms that show the parent."""
        self.parent.stale()
        for reply in self.replies.items:
            if reply.broadcast:
                reply.stale()


@dataclass(slots=True, eq=False)
class Channel:
    """A channel, its members and its messages."""

    id: str
    name: str
    created: int
    creator: str
    is_private: bool = False
    is_archived: bool = False
    is_general: bool = False
    members: set[str] = field(default_factory=set)
    history: Line = field(default_factory=Line)
    by_key: dict[int, Item] = field(default_factory=dict)

    def free_key(self, wanted: int) -> int:
        """Return the first unused timestamp from the wanted one on."""
        while wanted in self.by_key:
            wanted += 1
        return wanted

    def at(self, key: int | None) -> Item:
        """Return the message with a timestamp."""
        item = None if key is None else self.by_key.get(key)
        if item is None:
            raise OrderError(f"there is no such message in channel {self.name}")
        return item

    def post(self, key: int, payload: object, *, author: str = "") -> Item:
        """Put a message into the history."""
        item = Item(key, packed(payload), author)
        self._index(item)
        self.history.add(item)
        return item

    def reply(
        self,
        parent: Item,
        key: int,
        payload: Payload,
        *,
        author: str,
        broadcast: bool = False,
    ) -> Item:
        """Put a reply under a message, which thereby becomes a thread's parent."""
        if parent.belongs_to is not None:
            raise OrderError("a reply cannot be replied to: give the thread's parent")
        if key <= parent.key:
            raise OrderError("a reply must be later than its parent")
        thread = parent.begins = parent.begins or Thread(parent)
        item = Item(key, packed(payload), author, broadcast, belongs_to=thread)
        self._index(item)
        thread.replies.add(item)
        if broadcast:
            self.history.add(item)
        thread.stale()
        return item

    def delete(self, item: Item, tombstone: Callable[[Item], Payload]) -> None:
        """Delete a message; a parent with replies leaves a tombstone until the last reply goes."""
        if item.begins is not None:
            if _is_tombstone(item):
                raise OrderError("the message is deleted already")
            item.author = "USLACKBOT"
            item.rewrite(tombstone(item))
            return
        del self.by_key[item.key]
        if item.belongs_to is None or item.broadcast:
            self.history.remove(item)
        if item.belongs_to is not None:
            self._leave(item, item.belongs_to)

    def _leave(self, item: Item, thread: Thread) -> None:
        thread.replies.remove(item)
        thread.stale()
        if not thread.replies.items:
            thread.parent.begins = None
            if _is_tombstone(thread.parent):
                del self.by_key[thread.parent.key]
                self.history.remove(thread.parent)

    def _index(self, item: Item) -> None:
        if item.key in self.by_key:
            raise OrderError(f"timestamp {format_ts(item.key)} is taken in channel {self.name}")
        self.by_key[item.key] = item


def _is_tombstone(item: Item) -> bool:
    payload = item.payload()
    return isinstance(payload, dict) and payload.get("subtype") == "tombstone"
