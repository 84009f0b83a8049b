"""Orders that change what is said: post, edit, delete, react, insert something odd, or let people live."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from ingest_simulator.errors import OrderError
from ingest_simulator.orders import Order
from ingest_simulator.slack import payloads, seeding
from ingest_simulator.slack.channel import Channel, Item
from ingest_simulator.slack.life import live
from ingest_simulator.slack.timestamps import MICROS, format_ts, key_at, parse_ts
from ingest_simulator.slack.world import Team
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json


class Message(Order):
    """Something to say; without a time it is said now."""

    text: str
    user: str | None = None
    ts: str | None = None
    hours_ago: float | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    extra: Json = Field(default_factory=dict)


class Post(Message):
    """A message and where to post it."""

    team: str
    channel: str


class Posts(Order):
    """Many messages for one channel."""

    team: str
    channel: str
    items: list[Message]


class OneMessage(Order):
    """Which message."""

    team: str
    channel: str
    ts: str


class Edit(OneMessage):
    """A new text."""

    text: str


class React(OneMessage):
    """A reaction."""

    name: str
    user: str | None = None


class Raw(Order):
    """Anything at all, put into the history as it is."""

    team: str
    channel: str
    payload: Any


class Live(Order):
    """How much random life."""

    team: str
    seed: int = 0
    steps: Annotated[int, Field(ge=0)] = 10


def _place(simulator: Simulator, wanted: Post | Posts | OneMessage | Raw) -> tuple[Team, Channel]:
    team = simulator.slack.team(wanted.team)
    return team, team.channel(wanted.channel)


def _find(simulator: Simulator, wanted: OneMessage) -> tuple[Team, Channel, Item]:
    team, channel = _place(simulator, wanted)
    return team, channel, channel.at(parse_ts(wanted.ts))


def _post(simulator: Simulator, wanted: Post) -> Json:
    team, channel = _place(simulator, wanted)
    return {"ts": _say(simulator, team, channel, wanted)}


def _posts(simulator: Simulator, wanted: Posts) -> Json:
    team, channel = _place(simulator, wanted)
    return {"ts": [_say(simulator, team, channel, message) for message in wanted.items]}


def _say(simulator: Simulator, team: Team, channel: Channel, message: Message) -> str:
    key = _key(simulator, channel, message)
    user = message.user or next(iter(team.people()), team.bot.id)
    if message.thread_ts is None:
        if message.broadcast:
            raise OrderError("only a reply can be broadcast: give thread_ts")
        item = seeding.say(team, channel, key, user, message.text, extra=message.extra)
    else:
        parent = channel.at(parse_ts(message.thread_ts))
        item = seeding.say_in_thread(
            team,
            channel,
            parent,
            key,
            user,
            message.text,
            broadcast=message.broadcast,
            extra=message.extra,
        )
    return format_ts(item.key)


def _key(simulator: Simulator, channel: Channel, message: Message) -> int:
    if message.ts is not None:
        if message.hours_ago is not None:
            raise OrderError("give ts or hours_ago, not both")
        key = parse_ts(message.ts)
        if key is None:
            raise OrderError(f"{message.ts} is not a timestamp")
        return key
    return channel.free_key(key_at(simulator.clock.now()) - round((message.hours_ago or 0) * 3600 * MICROS))


def _edit(simulator: Simulator, wanted: Edit) -> Json:
    _, _, item = _find(simulator, wanted)
    now = key_at(simulator.clock.now())
    item.rewrite(payloads.edited(_object(item), wanted.text, item.author, now))
    return {"ts": wanted.ts, "edited": format_ts(now)}


def _delete(simulator: Simulator, wanted: OneMessage) -> Json:
    _, channel, item = _find(simulator, wanted)
    channel.delete(item, lambda parent: payloads.tombstone(parent.key))
    return {"ts": wanted.ts}


def _react(simulator: Simulator, wanted: React) -> Json:
    team, _, item = _find(simulator, wanted)
    user = wanted.user or next(iter(team.people()), team.bot.id)
    item.rewrite(payloads.reacted(_object(item), wanted.name, user))
    return {"ts": wanted.ts}


def _object(item: Item) -> Json:
    payload = item.payload()
    if not isinstance(payload, dict):
        raise OrderError("what was inserted there is not a message")
    return payload


def _raw(simulator: Simulator, wanted: Raw) -> Json:
    _, channel = _place(simulator, wanted)
    claimed = wanted.payload.get("ts") if isinstance(wanted.payload, dict) else None
    key = parse_ts(claimed) if isinstance(claimed, str) else None
    # without a timestamp that can be read it stands where a message posted now would
    item = channel.post(key or channel.free_key(key_at(simulator.clock.now())), wanted.payload)
    return {"ts": format_ts(item.key)}


def _live(simulator: Simulator, wanted: Live) -> Json:
    team = simulator.slack.team(wanted.team)
    return live(team, seed=wanted.seed, steps=wanted.steps, now=simulator.clock.now())


SPEECH: tuple[tuple[str, type[Any], Callable[[Simulator, Any], Json]], ...] = (
    ("post", Post, _post),
    ("posts", Posts, _posts),
    ("edit", Edit, _edit),
    ("delete", OneMessage, _delete),
    ("react", React, _react),
    ("raw", Raw, _raw),
    ("life", Live, _live),
)
