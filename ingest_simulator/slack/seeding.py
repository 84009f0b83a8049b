"""Builds workspaces from a seed: the same request and clock give the same people, channels and messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest_simulator.errors import OrderError
from ingest_simulator.slack import payloads
from ingest_simulator.slack.channel import Channel, Item
from ingest_simulator.slack.payloads import SLACKBOT, Payload
from ingest_simulator.slack.timestamps import MICROS
from ingest_simulator.slack.words import FIRST_NAMES, LAST_NAMES, sentence
from ingest_simulator.slack.world import Team, User, slack_id

REPLY_WITHIN = 4 * 3600 * MICROS  # how long after a message its thread goes on


@dataclass(slots=True, frozen=True)
class Content:
    """How much is said in each seeded channel, and when."""

    messages: int = 0
    threads: int = 0
    replies: int = 0
    broadcasts: int = 0
    span: int = 0  # microseconds
    end: int = 0  # microseconds


def add_people(team: Team, number: int) -> None:
    """Add Slackbot, the app's bot and some people; of five and more the last has left the company."""
    for user in (User(SLACKBOT, "slackbot", "Slackbot"), team.bot):
        team.users[user.id] = user
    for place in range(number):
        first = FIRST_NAMES[place % len(FIRST_NAMES)]
        last = LAST_NAMES[place // len(FIRST_NAMES) % len(LAST_NAMES)]
        gone = place == number - 1 and number >= 5
        number_suffix = place // (len(FIRST_NAMES) * len(LAST_NAMES)) or ""
        name = f"{first}.{last}{number_suffix}".lower()
        user = User(slack_id(team.rng, "U"), name, f"{first} {last}", deleted=gone)
        team.users[user.id] = user


def add_channel(
    team: Team,
    name: str,
    created: float,
    *,
    channel_id: str | None = None,
    private: bool = False,
    member: bool = True,
    archived: bool = False,
) -> Channel:
    """Add an empty channel with everybody in it, the bot if asked for."""
    new_id = channel_id or slack_id(team.rng, "C")
    if new_id in team.channels or any(channel.name == name for channel in team.channels.values()):
        raise OrderError(f"workspace {team.id} has a channel {name} or {new_id} already")
    people = team.people()
    channel = Channel(new_id, name, int(created), people[0] if people else team.bot.id, private, archived)
    channel.is_general = not team.channels and not private
    channel.members.update(people)
    if member:
        channel.members.add(team.bot.id)
    team.channels[new_id] = channel
    return channel


def fill(team: Team, channel: Channel, content: Content) -> None:
    """Return what `content` asks for; the number of messages in the history is exact, broadcasts come on top."""
    if content.threads > content.messages:
        raise OrderError("a channel cannot have more threads than messages")
    if content.threads and not content.replies:
        raise OrderError("threads need at least one reply each")
    people = team.people() or [team.bot.id]
    step = content.span // max(1, content.messages)
    start = content.end - content.span
    parents = set(team.rng.sample(range(content.messages), content.threads))
    begun: list[Item] = []
    for place in range(content.messages):
        # each message has its own slot of time, so they come out sorted and never collide
        key = start + place * step + team.rng.randrange(max(1, step))
        payload = _message(team, channel, people, key, place, ordinary=place in parents)
        item = channel.post(channel.free_key(key), payload, author=payload.get("user", ""))
        if place in parents:
            begun.append(item)
    for item in begun:
        _discuss(team, channel, people, item, content)
    _broadcast(team, channel, people, begun, content)


def _discuss(team: Team, channel: Channel, people: Sequence[str], parent: Item, content: Content) -> None:
    room = max(content.replies + 1, min(REPLY_WITHIN, content.end - parent.key))
    for place in range(content.replies):
        slot = room // content.replies
        key = channel.free_key(parent.key + 1 + place * slot + team.rng.randrange(max(1, slot - 1)))
        say_in_thread(team, channel, parent, key, team.rng.choice(people), sentence(team.rng, people))


def _broadcast(
    team: Team, channel: Channel, people: Sequence[str], begun: Sequence[Item], content: Content
) -> None:
    if content.broadcasts and not begun:
        raise OrderError("broadcasts need at least one thread")
    for place in range(content.broadcasts):
        parent = begun[place % len(begun)]
        newest = parent.begins.replies.keys[-1] if parent.begins is not None else parent.key
        text = sentence(team.rng, people)
        say_in_thread(
            team, channel, parent, channel.free_key(newest + 1), team.rng.choice(people), text, broadcast=True
        )


def say_in_thread(
    team: Team,
    channel: Channel,
    parent: Item,
    key: int,
    user: str,
    text: str,
    *,
    broadcast: bool = False,
    extra: Payload | None = None,
) -> Item:
    """Post a reply."""
    spoken = payloads.plain(team.id, user, text, key, nonce=team.rng.getrandbits(128))
    payload = payloads.in_thread(spoken, parent.key, parent.author, broadcast=broadcast) | (extra or {})
    return channel.reply(parent, key, payload, author=user, broadcast=broadcast)


def say(
    team: Team,
    channel: Channel,
    key: int,
    user: str,
    text: str,
    *,
    extra: Payload | None = None,
) -> Item:
    """Post an ordinary message."""
    payload = payloads.plain(team.id, user, text, key, nonce=team.rng.getrandbits(128))
    return channel.post(key, payload | (extra or {}), author=user)


def _message(
    team: Team, channel: Channel, people: Sequence[str], key: int, place: int, *, ordinary: bool
) -> Payload:
    rng = team.rng
    user = rng.choice(people)
    if place == 0 and not ordinary:
        return payloads.channel_join(user, key)
    text = sentence(rng, people, channel=(channel.id, channel.name))
    plain = payloads.plain(team.id, user, text, key, nonce=rng.getrandbits(128))
    dice = rng.random()
    if dice < 0.05:
        return payloads.edited(plain, f"{text} Correction: it is their EU team.", user, key + 60 * MICROS)
    if dice < 0.10:
        return payloads.reacted(plain, "thumbsup", rng.choice(people))
    return plain if ordinary else _unusual(team, plain, text, key, dice)


def _unusual(team: Team, plain: Payload, text: str, key: int, dice: float) -> Payload:
    if dice < 0.13:
        return payloads.bot_message(f"B{team.bot_id[1:]}", "Status page", text, key)
    if dice < 0.15:
        return payloads.app_message(team.id, team.bot.id, team.bot_id, text, key)
    if dice < 0.17:
        return payloads.me_message(plain["user"], "is looking into it", key)
    if dice < 0.20:
        return payloads.with_file(plain, slack_id(team.rng, "F"), domain=team.domain)
    return plain
