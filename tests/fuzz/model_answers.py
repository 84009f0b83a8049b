"""What servers of language models answer: completions, findings in their texts, errors, lines of batches."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from ingest_assets.features.answer import Asked, NoAnswer, Rejected, read
from ingest_assets.features.batches import answer_of
from ingest_assets.features.findings import parse
from ingest_assets.features.refusals import Refusal
from tests.fuzz import corpus
from tests.fuzz.mutations import deeply, mutated, rewritten

AROUND = (
    *(
        ("", ""),
        ("```json\n", "\n```"),
        ("<think>hm {", "</think>"),
        ("<think>", ""),
        ("Here it is:\n", "\nDone."),
        ("{", "}"),
    ),
    *(
        ("[", "]"),
        ('{"answer": ', "}"),
        ("\\n", ""),
        ("{" * 300, ""),
        ('{"' * 5_000, ""),
        ("<think>" * 500, "</think>" * 500),
    ),
)
STATUSES = (200, 400, 401, 404, 413, 422, 429, 500, 503)


def make(rng: Random) -> Any:
    """Make an answer: [status, its JSON as text]."""
    with deeply():
        findings = json.dumps(mutated(rng, corpus.FINDINGS, times=rng.choice((0, 1, 3))))
    before, after = rng.choice(AROUND)
    text = f"{before}{findings}{after}"
    if rng.random() < 0.3:
        text = rewritten(rng, text)
    completion = corpus.completion(text)
    document = mutated(rng, [completion] * 12 + corpus.MODEL_ERRORS, times=rng.choice((0, 0, 1, 2)))
    with deeply():
        return [rng.choice(STATUSES), json.dumps(document)]


def understand(item: Any) -> bool:
    """Read an answer as the product does; tell whether there was something to use."""
    status, text = item
    answer_of(json.dumps({"custom_id": "1", "response": {"status_code": status, "body": text}}))
    answer_of(f'{{"custom_id": "1", "response": {{"status_code": {status}, "body": {text}}}}}')
    try:
        document = json.loads(text)
    except RecursionError:
        return False
    Refusal.of(status, document)
    Refusal.of(status, text)
    try:
        said, usage = read(document, Asked(0, 0))
    except (Rejected, NoAnswer):
        return False
    assert 0 <= usage.total < 2**63
    findings, _faults = parse(said)
    return findings is not None
