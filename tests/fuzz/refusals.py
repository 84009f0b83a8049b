"""What clients make of answers that refuse: an error for an operator, which repeats nothing of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from ingest_assets.errors import SourceError
from ingest_assets.sources.client.http import Answer, Request
from ingest_assets.sources.gmail import errors as gmail
from ingest_assets.sources.gmail.methods import METHODS as GMAIL_METHODS
from ingest_assets.sources.gong.errors import meaning_at
from ingest_assets.sources.gong.methods import SCOPES
from ingest_assets.terminal import printable
from tests.fuzz import corpus
from tests.fuzz.mutations import deeply, mutated, rewritten
from tests.fuzz.storable import Refused

STATUSES = (301, 307, 400, 401, 403, 404, 409, 410, 422, 429, 499, 500, 503, 599)
NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
LONGEST = 1_000  # characters of an error


def bodies(methods: tuple[str, ...]) -> Callable[[Random], Any]:
    """Make answers to some methods: [method, status, body]."""

    def make(rng: Random) -> Any:
        with deeply():
            text = json.dumps(mutated(rng, corpus.ANSWERS))
        for _time in range(rng.choice((0, 0, 1))):
            text = rewritten(rng, text)
        return [rng.choice(methods), rng.choice(STATUSES), text.encode("utf-8", "replace")]

    return make


def gmail_error(item: Any) -> None:
    """Classify an answer of Gmail's, of its batch endpoint and of Google's token endpoint."""
    method, status, content = item
    answer = Answer(status, {"retry-after": "5"}, content)
    body = gmail.parsed(content)
    for error in (
        gmail.call_error(method, answer, NOW),
        gmail.meaning(method, status, body),
        gmail.token_meaning(status, body),
    ):
        _check(error)


def gong_error(item: Any) -> None:
    """Classify an answer of Gong's."""
    method, status, content = item
    _check(meaning_at("api.gong.io")(Request(method, "GET", "/"), status, gmail.parsed(content)))


def _check(error: SourceError) -> None:
    text = str(error)
    if not isinstance(error, SourceError) or len(text) > LONGEST or text != printable(text):
        raise Refused("an error that is not fit for an operator")
    if corpus.PRIVATE in text:
        raise Refused("an error that repeats what the answer said")


gmail_bodies, gong_bodies = bodies(tuple(GMAIL_METHODS)), bodies(tuple(SCOPES))
