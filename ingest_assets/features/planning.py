"""What reading transcripts will take: requests, tokens and, where prices are set, money."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from ingest_assets.features import prompt
from ingest_assets.features.answer import Asked, Usage
from ingest_assets.features.budget import LIKELY_ANSWER, dollars
from ingest_assets.features.ledger import Ledger, Stored
from ingest_assets.features.parts import parts
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.transcript import Transcript

SAMPLE = 300  # conversations of which the tokens are counted; of more, the average is taken
NO_PRICE = "no price is set (OPENAI_INPUT_PRICE, OPENAI_OUTPUT_PRICE)"


@dataclass(frozen=True)
class Reading:
    """What the language model will be asked."""

    conversations: float
    requests: float
    usage: Usage
    sampled: int
    """Conversations whose tokens were counted."""

    def dollars(self, settings: ModelSettings) -> Decimal | None:
        """Return the price; None where none is set."""
        if not settings.input_price and not settings.output_price:
            return None
        batched = settings.mode == "batch"
        return dollars(settings, Usage(self.usage.input, self.usage.output, batched))

    def days(self, settings: ModelSettings) -> int:
        """Return for how many days' budgets it is."""
        money, limit = self.dollars(settings), settings.day_dollars
        of_money = ceil(float(money) / limit) if money and limit else 0
        return max(1, ceil(self.usage.total / settings.day_tokens), of_money)


def pending(ledger: Ledger, answer: int = LIKELY_ANSWER) -> Reading:
    """Plan what is pending in a workspace; `answer`: tokens of an answer."""
    ids, _postponed = ledger.pending()
    chosen = ids if len(ids) <= SAMPLE else random.Random(0).sample(ids, SAMPLE)  # noqa: S311  (a sample)
    loaded = [ledger.load_now(external_id) for external_id in chosen]
    asked = [_of_stored(stored, ledger.settings) for stored in loaded if stored is not None]
    return _scaled(asked, len(ids) / max(1, len(chosen)), answer)


def of_payloads(
    transcript: Callable[[JsonView], Transcript],
    payloads: Iterable[JsonView],
    count: float,
    settings: ModelSettings,
    answer: int,
) -> Reading:
    """Plan what as many conversations as are still to be read will take, by some of their payloads."""
    asked = []
    for payload in payloads:
        try:
            found = transcript(payload)
        except UNPARSEABLE:
            continue
        asked.append(_of_lines(found.title, prompt.written(found), settings))
    return _scaled(asked, count / max(1, len(asked)), answer)


def _of_stored(stored: Stored, settings: ModelSettings) -> tuple[int, int]:
    if stored.transcript is None or stored.known:
        return 0, 0
    return _of_lines(stored.transcript.title, stored.lines, settings)


def _of_lines(title: str, lines: Sequence[str], settings: ModelSettings) -> tuple[int, int]:
    """Return how many requests a conversation takes, and their tokens."""
    cut = parts(lines, settings.part_tokens)
    return len(cut), sum(Asked.of(prompt.messages(title, part)).prompt for part in cut)


def _scaled(asked: Sequence[tuple[int, int]], share: float, answer: int) -> Reading:
    requests = sum(count for count, _tokens in asked) * share
    usage = Usage(round(sum(tokens for _count, tokens in asked) * share), round(requests * answer))
    conversations = sum(bool(count) for count, _tokens in asked) * share
    return Reading(conversations, requests, usage, len(asked))
