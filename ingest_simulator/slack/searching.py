"""search.messages, of a user: replies by when they were written.

query    threads:replies, after:YYYY-MM-DD and before:YYYY-MM-DD, of days in the user's time zone, that day
         excluded; any other word has to stand in the text
seen     public channels, and private ones that the user is in; whether the bot is in them does not matter
page     numbered; beyond `last_page` the answer is page 1 again, and says so
delay    so long a message is not found after it was posted
kept     so long an answer to the same query and page is given again
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
from pydantic import Field

from ingest_simulator.errors import OrderError
from ingest_simulator.orders import Order
from ingest_simulator.slack.call import Call, SlackError, ok
from ingest_simulator.slack.channel import Channel, Item
from ingest_simulator.slack.timestamps import MICROS, format_ts, key_at
from ingest_simulator.slack.world import Grant, Search, Team
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

COUNT, MOST = 20, 100  # matches of a page

Found = tuple[Channel, Item]
Test = Callable[[Item], bool]


class SetSearch(Order):
    """How a workspace's search behaves from now on; a `token` makes one of a user who searches."""

    team: str
    token: str | None = None
    user: str | None = None
    scopes: tuple[str, ...] = ("search:read",)
    delay_seconds: Annotated[float, Field(ge=0)] = 0.0
    kept_seconds: Annotated[float, Field(ge=0)] = 0.0
    last_page: Annotated[int, Field(ge=1)] = 100
    zone: str = "Europe/London"


def set_search(simulator: Simulator, wanted: SetSearch) -> Json:
    """Obey SetSearch."""
    team = simulator.slack.team(wanted.team)
    team.search = Search(wanted.delay_seconds, wanted.kept_seconds, wanted.last_page, wanted.zone)
    user = wanted.user or next(iter(team.people()), None)
    if wanted.token is not None:
        if user is None:
            raise OrderError(f"workspace {team.id} has no people who could search")
        simulator.slack.issue(wanted.token, Grant(team, frozenset(wanted.scopes), user=user))
    return {"user": user}


def messages(call: Call) -> bytes:
    """search.messages."""
    if call.grant.user is None:
        raise SlackError("not_allowed_token_type")
    call.require("search:read")
    query, search = call.params.get("query", ""), call.team.search
    if not query:
        raise SlackError("no_query")
    count, page = _number(call, "count", COUNT), _number(call, "page", 1)
    asked = (call.grant.user, query, count, page)
    kept = search.answers.get(asked)
    if kept is not None and call.now < kept[0] + search.kept:
        return kept[1]
    body = _answer(call, query, min(count, MOST), page if page <= search.last_page else 1)
    search.answers[asked] = (call.now, body)
    return body


def _answer(call: Call, query: str, count: int, page: int) -> bytes:
    found = sorted(_found(call, query), key=lambda one: one[1].key, reverse=call.params.get("sort_dir") != "asc")
    pages, first = max(1, -(-len(found) // count)), (page - 1) * count
    shown = [_match(call.team, channel, item) for channel, item in found[first : first + count]]
    paging = {"count": count, "total": len(found), "page": page, "pages": pages}
    pagination = {
        "total_count": len(found),
        "page": page,
        "per_page": count,
        "page_count": pages,
        "first": first + 1,
        "last": first + len(shown),
    }
    return ok(
        query=query,
        messages={"total": len(found), "pagination": pagination, "paging": paging, "matches": shown},
    )


def _found(call: Call, query: str) -> Iterator[Found]:
    team, tests = call.team, [_test(word, ZoneInfo(call.team.search.zone)) for word in query.split()]
    indexed = key_at(call.now - team.search.delay)
    for channel in team.channels.values():
        if not channel.is_private or call.grant.user in channel.members:
            for item in channel.by_key.values():
                if item.key <= indexed and all(test(item) for test in tests):
                    yield channel, item


def _test(word: str, zone: ZoneInfo) -> Test:
    if word == "threads:replies":
        return lambda item: item.belongs_to is not None
    name, _, day = word.partition(":")
    if name == "after":
        since = _begins(date.fromisoformat(day) + timedelta(days=1), zone)
        return lambda item: item.key >= since
    if name == "before":
        until = _begins(date.fromisoformat(day), zone)
        return lambda item: item.key < until
    return lambda item: word in str(item.payload())


def _begins(day: date, zone: ZoneInfo) -> int:
    return key_at(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _match(team: Team, channel: Channel, item: Item) -> Json:
    payload = orjson.loads(item.raw)
    said = payload if isinstance(payload, dict) else {}
    ts, link = format_ts(item.key), f"https://{team.domain}.slack.com/archives/{channel.id}/p{item.key}"
    if item.belongs_to is not None:
        parent = format_ts(item.belongs_to.parent.key)
        link += f"?{urlencode({'thread_ts': parent, 'cid': channel.id})}"
    return {
        "iid": f"{channel.id}-{item.key // MICROS}",
        "team": team.id,
        "score": 0,
        "channel": {"id": channel.id, "name": channel.name, "is_private": channel.is_private, "is_mpim": False},
        "type": "message",
        "user": said.get("user"),
        "username": "",
        "ts": ts,
        "text": said.get("text", ""),
        "permalink": link,
    }


def _number(call: Call, name: str, default: int) -> int:
    given = call.params.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or int(given) < 1:
        raise SlackError("invalid_arguments")
    return int(given)
