"""The messages of one of Slack's pages: each is looked at once for its ts and for what it says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ingest_assets.sources.slack.records import TS
from ingest_assets.sources.slack.text import Said, said_by


class Spoken(NamedTuple):
    """A message as it came; None stands for a ts that is none, and for what an item says that is no message."""

    message: Any
    ts: str | None
    said: Said | None


def spoken(messages: Sequence[object]) -> list[Spoken]:
    """Look at the items of a page, whatever they are."""
    return [
        Spoken(message, ts_of_message(message), said_by(message) if isinstance(message, dict) else None)
        for message in messages
    ]


def ts_of_message(message: object) -> str | None:
    """Return the ts of an item; None where it has none, or something else."""
    ts = message.get("ts") if isinstance(message, dict) else None
    return ts if isinstance(ts, str) and TS.fullmatch(ts) else None
