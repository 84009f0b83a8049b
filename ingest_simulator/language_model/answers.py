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
STRANGER = "unknown"  # how a transcript names whom it does not know
UNDERSTOOD = (
    (
        "single sign-on",
        "feature_request",
        "Single sign-on with their provider would close the deal.",
    ),
    ("twenty percent", "objection", "The price is twenty percent above what was planned."),
    ("finance director", "decision_process", "The finance director has to see the numbers this month."),
    ("security questionnaire", "next_step", "The security questionnaire is to be sent."),
    ("the export is what", "pain", "The export is what the team complains about."),
    ("your competitors", "competitor", "Two other vendors are being looked at."),
    ("pilot with the", "next_step", "A pilot with the Hamburg office comes next."),
    ("check that out", "risk", "They want to look into it before they decide."),
    ("dashboard is still slow", "pain", "The dashboard is slow on Mondays."),
    ("eighty seats", "budget", "There is budget for eighty seats, perhaps a hundred and twenty."),
    ("budget allocations", "budget", "The budget is to be looked at again."),
    ("slipped by two weeks", "risk", "The second region is two weeks late."),
    ("audit log is not there", "risk", "Without an audit log in spring they do not renew."),
    ("revised proposal", "commitment", "The revised proposal is sent tomorrow."),
    ("owns the migration", "next_step", "Somebody has to own the migration."),
    ("keyboard shortcuts", "feature_request", "Users ask for keyboard shortcuts."),
    ("yearly billing", "objection", "The price only works with yearly billing."),
    ("everybody likes", "customer_sentiment", "The reporting is liked."),
)
"""(words, what they are, what they show) of what the simulated customers say."""
DATED = {"commitment", "next_step", "timing"}
DUES = ("by Friday", "tomorrow morning", "before the end of the month", "this quarter")
INVENTED = "We have decided to cancel everything and leave at the end of the week"
KINDS = ("pain", "objection", "competitor", "feature_request", "commitment", "budget", "timing", "risk", "topic")


def findings(text: str, schema: Json | None, *, inventing: bool) -> str:
    """Write an answer to a user's message as JSON."""
    rng = random.Random(sha256(text.encode("utf-8", "replace")).digest())  # noqa: S311 - repeatable on purpose
    said = sorted(set(_sentences(text)))
    kinds = list(_kinds(schema)) or list(KINDS)
    chosen = sorted(rng.sample(said, len(said)), key=lambda one: one[0] != "customer")[:ITEMS]
    items = [_item(rng, kinds, speaker, sentence) for _side, speaker, sentence in chosen]
    summary = " ".join(dict.fromkeys(item["statement"] for item in items)) or "Nothing of note was said."
    if inventing:
        for item in items[1::2]:
            item["quote"] = INVENTED
    return json.dumps({"items": items, "summary": summary})


def _sentences(text: str) -> Iterator[tuple[str, str, str]]:
    for speaker, side, turn in TURN.findall(text):
        for sentence in SENTENCE.findall(turn):
            if len(sentence.split()) >= FEWEST_WORDS:
                yield side, speaker, sentence.strip()


def _item(rng: random.Random, kinds: list[str], speaker: str, sentence: str) -> Json:
    kind, statement = next(
        ((kind, shown) for words, kind, shown in UNDERSTOOD if words in sentence and kind in kinds),
        (rng.choice(kinds), f"It was said: {sentence}"),
    )
    named = STRANGER not in speaker.lower()
    return {
        "quote": sentence,
        "speaker": speaker,
        "kind": kind,
        "statement": statement,
        "person": speaker if kind in {"commitment", "next_step"} and named else None,
        "due": next((due for due in DUES if due in sentence), None) if kind in DATED else None,
        "sentiment": "positive" if kind == "customer_sentiment" else None,
    }


def _kinds(schema: object) -> Iterator[str]:
    """Find the values that the schema allows for `kind`, wherever it defines it."""
    if isinstance(schema, dict):
        kind = schema.get("properties", {}).get("kind")
        if isinstance(kind, dict) and isinstance(kind.get("enum"), list):
            yield from kind["enum"]
        for inner in schema.values():
            yield from _kinds(inner)
