"""Gmail's listings stand still at any moment, for some seconds, while the mailbox goes on: nothing is lost."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from ingest_assets.sources.gmail.extract import SETTLED
from tests.proof.world_gmail import GmailLife
from tests.workbench import Bench

LIFE = (
    GmailLife._new,
    GmailLife._reply,
    GmailLife._label,
    GmailLife._trash,
    GmailLife._delete,
)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_listed_late_is_read_in_the_end(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  (repeatable on purpose)

    def numbers() -> list[int]:
        return [rng.randrange(1000) for _ in range(12)]

    world = GmailLife(bench, [seed, *numbers()])  # all mail, that of a label, or that without it
    world.begin(numbers())
    mailbox = world.tenant
    world.connect()
    if seed % 2:
        mailbox.order("settings", lists_late=True)
        for _ in range(2):
            world._new(numbers())
    mailbox.sync()
    for _ in range(25):
        chance = rng.random()
        if chance < 0.5:
            rng.choice(LIFE)(world, numbers())
        elif chance < 0.8:
            mailbox.order("settings", lists_late=chance < 0.65)
        else:
            mailbox.sync(sync_minutes=rng.choice([30, 30, 1e-9]))
            if rng.random() < 0.5:
                mailbox.order("settings", lists_late=False)
                bench.clock.advance(rng.choice([timedelta(minutes=1), SETTLED, timedelta(hours=5)]))
    mailbox.order("settings", lists_late=False)
    world.mend()
    for pause in (timedelta(), timedelta(days=1, minutes=1), SETTLED):  # what is not found is gone after a day
        bench.clock.advance(pause)
        mailbox.sync()
    shown, stored = world.shown(), world.stored()
    assert shown.keys() == stored.keys()
    assert all(world.alike(key, stored[key], [shown[key]], settled=True) for key in shown)
