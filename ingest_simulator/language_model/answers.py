"""What the model says: real sentences of the transcript that it was sent, chosen by what it was sent."""

import json
import random
import re
from collections.abc import Iterator
from hashlib import sha256

from ingest_simulator.wire import Json

TURN = re.compile(r"^\[[\d:]+\] (.+?) \((internal|customer|unknown)\): (.*)$", re.MULTILINE)
SENTENCE = re.compile(r"[^.?!]+[.?!]?")
ITEMS, FEWEST_WORDS = 6, 4
INVENTED = "We have decided to cancel everything and leave at the end of the week"
KINDS = ("pain", "objection", "competitor", "feature_request", "commitment", "budget", "timing", "risk", "topic")


def findings(text: str, schema: Json | None, *, inventing: bool) -> str:
    """Write an answer to a user's message as JSON."""
    rng = random.Random(sha256(text.encode("utf-8", "replace")).digest())  # noqa: S311 - repeatable on purpose
    said = sorted({(speaker, sentence) for speaker, sentence in _sentences(text)})
    kinds = list(_kinds(schema)) or list(KINDS)
    chosen = rng.sample(said, min(ITEMS, len(said)))
    items = [_item(rng, kinds, speaker, sentence) for speaker, sentence in chosen]
    if inventing:
        for item in items[1::2]:
            item["quote"] = INVENTED
    return json.dumps({"items": items, "summary": f"{len(said)} different sentences were said."})


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    for speaker, _side, turn in TURN.findall(text):
        for sentence in SENTENCE.findall(turn):
            if len(sentence.split()) >= FEWEST_WORDS:
                yield speaker, sentence.strip()


def _item(rng: random.Random, kinds: list[str], speaker: str, sentence: str) -> Json:
    kind = rng.choice(kinds)
    return {
        "quote": sentence,
        "speaker": speaker,
        "kind": kind,
        "statement": f"{speaker} said so.",
        "person": speaker if kind in {"commitment", "stakeholder"} else None,
        "due": "Friday" if kind == "commitment" else None,
        "sentiment": rng.choice(("positive", "neutral", "negative")) if "sentiment" in kind else None,
    }


def _kinds(schema: object) -> Iterator[str]:
    """Find the values that the schema allows for `kind`, wherever it defines it."""
    if isinstance(schema, dict):
        kind = schema.get("properties", {}).get("kind")
        if isinstance(kind, dict) and isinstance(kind.get("enum"), list):
            yield from kind["enum"]
        for inner in schema.values():
            yield from _kinds(inner)
