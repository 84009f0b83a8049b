"""A bit of seeded life in a workspace: people post, answer old threads, edit, react and delete."""

import random
from collections import Counter

from ingest_simulator.slack import payloads, seeding
from ingest_simulator.slack.channel import Channel, Item
from ingest_simulator.slack.timestamps import key_at
from ingest_simulator.slack.words import sentence
from ingest_simulator.slack.world import Team

ACTIONS = {"post": 45, "reply": 25, "edit": 12, "react": 10, "delete": 8}  # in hundredths
TRIES = 20  # looking for an ordinary message among the system's; without one the step is a post


def live(team: Team, *, seed: int, steps: int, now: float) -> dict[str, int]:
    """Take some random steps in the channels the bot sees, and count what was done."""
    rng = random.Random(f"{team.id}/{seed}")  # noqa: S311 - repeatable on purpose
    channels = [c for c in team.channels.values() if not c.is_archived and team.is_member(c)]
    done: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))
    if not channels:
        return dict(done)
    for _ in range(steps):
        channel = rng.choice(channels)
        action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        done[_act(team, channel, rng, action, now)] += 1
    return dict(done)


def _act(team: Team, channel: Channel, rng: random.Random, action: str, now: float) -> str:
    people = team.people() or [team.bot.id]
    user = rng.choice(people)
    key = channel.free_key(key_at(now))
    touched = None if action == "post" else _someones(channel, rng, parents=action == "reply", before=key)
    if touched is None:
        text = sentence(rng, people, channel=(channel.id, channel.name))
        seeding.say(team, channel, key, user, text)
        return "post"
    if action == "reply":
        seeding.say_in_thread(team, channel, touched, key, user, sentence(rng, people))
    elif action == "edit":
        change = payloads.edited(touched.payload(), sentence(rng, people), touched.author, key)
        touched.rewrite(change)
    elif action == "react":
        touched.rewrite(payloads.reacted(touched.payload(), rng.choice(("eyes", "heart", "+1")), user))
    else:
        channel.delete(touched, lambda item: payloads.tombstone(item.key))
    return action


def _someones(channel: Channel, rng: random.Random, *, parents: bool, before: int) -> Item | None:
    """Return a random message a person wrote, not a reply if it is to be replied to."""
    keys = list(channel.by_key)
    for _ in range(TRIES if keys else 0):
        item = channel.by_key[rng.choice(keys)]
        if item.key < before and (item.belongs_to is None or not parents) and _ordinary(item):
            return item
    return None


def _ordinary(item: Item) -> bool:
    payload = item.payload()
    return isinstance(payload, dict) and "client_msg_id" in payload
