"""conversations.history and conversations.replies.

history  newest first, across pages and within each; replies are hidden unless also sent to the channel
replies  the parent, then its replies oldest first; the parent stands on top of every page
"""

import orjson

from ingest_simulator.slack.call import MAX_LIMIT, Call, Cursor, SlackError
from ingest_simulator.slack.channel import Channel, Item, Line
from ingest_simulator.slack.limits import LIMITED_OBJECTS
from ingest_simulator.slack.timestamps import parse_ts

KIND = "next_ts"
HISTORY_DEFAULT = 100
REPLIES_DEFAULT = 1000
REPLIES_MAX = 1000


def history(call: Call) -> bytes:
    """conversations.history."""
    channel = _readable(call)
    limit = _limit(call, HISTORY_DEFAULT)
    first, last = call.bounds()
    cursor = call.cursor(KIND)
    walk = _upwards if call.team.settings.oldest_first else _downwards
    items, following = walk(channel.history, first, last, _position(cursor), limit)
    if _holds_back(call, cursor, items):
        following, items = items[-1 if walk is _upwards else 0].key, []
        after = Cursor(str(following)).encoded(KIND)
    else:
        after = call.next_cursor(KIND, None if following is None else str(following))
    tail = b'"has_more":%s,"pin_count":0,' % (b"false" if following is None else b"true")
    return call.page("messages", [item.in_history() for item in items], after, tail + _echo(call))


def replies(call: Call) -> bytes:
    """conversations.replies."""
    channel = _readable(call)
    key = parse_ts(call.text("ts"))
    item = None if key is None else channel.by_key.get(key)
    if item is None:
        raise SlackError("thread_not_found")
    parent = item.belongs_to.parent if item.belongs_to is not None else item
    limit = _limit(call, REPLIES_DEFAULT, most=REPLIES_MAX)
    first, last = call.bounds()
    cursor = call.cursor(KIND)
    with_parent = cursor is None or call.team.settings.repeat_parent
    line = Line() if parent.begins is None else parent.begins.replies
    # a page of one object would never get past the parent
    room = max(1, limit - 1) if with_parent else limit
    items, following = _upwards(line, first, last, _position(cursor), room)
    items.reverse()
    if _holds_back(call, cursor, items):
        following, items = items[0].key, []
        after = Cursor(str(following)).encoded(KIND)
    else:
        after = call.next_cursor(KIND, None if following is None else str(following))
    shown = [item.in_thread() for item in items]
    if with_parent:
        shown.insert(0, parent.in_thread())
    tail = b'"has_more":%s,' % (b"false" if following is None else b"true")
    return call.page("messages", shown, after, tail)


def _readable(call: Call) -> Channel:
    channel = call.seen_channel("history")
    if not call.team.is_member(channel):
        raise SlackError("not_in_channel")
    return channel


def _limit(call: Call, default: int, *, most: int = MAX_LIMIT) -> int:
    if call.team.settings.limited:
        return min(call.limit(LIMITED_OBJECTS, most=most), LIMITED_OBJECTS)
    return call.limit(default, most=most)


def _position(cursor: Cursor | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.position.isdigit():
        raise SlackError("invalid_cursor")
    return int(cursor.position)


def _downwards(
    line: Line, first: int | None, last: int | None, position: int | None, limit: int
) -> tuple[list[Item], int | None]:
    if position is not None:
        last = position if last is None else min(last, position)
    low, high = line.span(first, last)
    start = max(low, high - limit)
    return line.items[start:high][::-1], line.keys[start - 1] if start > low else None


def _upwards(
    line: Line, first: int | None, last: int | None, position: int | None, limit: int
) -> tuple[list[Item], int | None]:
    if position is not None:
        first = position if first is None else max(first, position)
    low, high = line.span(first, last)
    end = min(high, low + limit)
    return line.items[low:end][::-1], line.keys[end] if end < high else None


def _holds_back(call: Call, cursor: Cursor | None, items: list[Item]) -> bool:
    """Whether this page shows nothing and leaves its items to the next one."""
    if not call.team.settings.empty_pages or not items:
        return False
    return cursor is None or cursor.empty


def _echo(call: Call) -> bytes:
    given = {name: call.params[name] for name in ("oldest", "latest") if call.params.get(name)}
    return orjson.dumps(given)[1:-1] + b"," if given else b""
