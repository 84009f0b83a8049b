"""Deliver messages: claim one, send it, note the answer, each in a transaction of its own.

A sender that is killed while it sends leaves a message that was tried and not answered. It is tried again once
the claim is over, under the same key. So a message arrives at least once, and once at a receiver that knows its
key; to note it as sent beforehand would lose what a crash stops.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy import Engine

from ingest_assets.incidents.message import Message, message_of
from ingest_assets.incidents.receivers import Answer, Receiver, attempt, receivers_of
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.storage import incidents
from ingest_assets.storage.schema import StoredRow

ROUND = 20.0  # seconds, after which no other message is begun; Dagster ends a sensor's look after 60
MARGIN = timedelta(seconds=30)  # of a claim over the time that a try may take
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)  # before a message is tried again


def deliver(engine: Engine, settings: AlertSettings, receivers: Sequence[Receiver] | None = None) -> list[str]:
    """Send what is due to all receivers at the same time; return a sentence for each that was tried."""
    chosen = receivers_of(settings) if receivers is None else receivers
    if not chosen:
        return []
    return asyncio.run(_all(engine, settings, chosen))


async def _all(engine: Engine, settings: AlertSettings, receivers: Sequence[Receiver]) -> list[str]:
    said = await asyncio.gather(*(_to_one(engine, settings, receiver) for receiver in receivers))
    return [sentence for sentence in said if sentence]


async def _to_one(engine: Engine, settings: AlertSettings, receiver: Receiver) -> str:
    """Send to one receiver until nothing is due, it fails, or the time is over."""
    began, sent = monotonic(), 0
    while monotonic() - began < ROUND:
        length = timedelta(seconds=settings.timeout_seconds) + MARGIN
        now = datetime.now(UTC)
        claimed = await asyncio.to_thread(_claim, engine, receiver.name, now, length, settings.quiet(now))
        if claimed is None:
            break
        answer = await attempt(receiver, message_of(claimed), settings.timeout_seconds)
        await asyncio.to_thread(_note, engine, claimed, answer)
        sent += answer.accepted
        if not answer.accepted and not answer.of_message:
            return f"{receiver.name}: {answer.said}"
    return f"{receiver.name}: {sent} sent" if sent else ""


def _claim(engine: Engine, receiver: str, now: datetime, length: timedelta, quiet: bool) -> StoredRow | None:
    with engine.begin() as conn:
        return incidents.claim(conn, receiver, now, length, quiet=quiet)


def _note(engine: Engine, claimed: StoredRow, answer: Answer) -> None:
    """Note an answer; a receiver that fails gets no other message for as long, since each try takes its time."""
    now = datetime.now(UTC)
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(claimed.attempts - 1, 10))
    again = None if answer.accepted else now + max(answer.retry_after or timedelta(), pause)
    with engine.begin() as conn:
        incidents.answered(conn, claimed, now, answer.said, next_try_at=again)
        if again is not None and not answer.of_message:
            incidents.postpone(conn, claimed.receiver, again)


def send_to_all(settings: AlertSettings, message: Message) -> list[tuple[str, Answer]]:
    """Send one message to every receiver, without a note anywhere; return what each answered."""

    async def all_of_them() -> list[Answer]:
        tries = (attempt(receiver, message, settings.timeout_seconds) for receiver in receivers)
        return list(await asyncio.gather(*tries))

    receivers = receivers_of(settings)
    return list(zip((receiver.name for receiver in receivers), asyncio.run(all_of_them()), strict=True))
