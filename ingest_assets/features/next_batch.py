"""Which conversations can be read from the answers of batches, and which go into the next batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest_assets.features import prompt
from ingest_assets.features.answer import Asked, Usage
from ingest_assets.features.batches import Batches, name_of
from ingest_assets.features.budget import LIKELY_ANSWER, Budget, BudgetSpent
from ingest_assets.features.ledger import Ledger
from ingest_assets.features.parts import parts
from ingest_assets.sources.json_values import Json

MOST_REQUESTS, MOST_BYTES = 20_000, 100_000_000  # OpenAI takes 50,000 and 200 MB

Messages = list[Json]
"""One request's."""


@dataclass
class NextBatch:
    """A workspace's conversations, sorted by what is to be done with them."""

    ledger: Ledger
    batches: Batches
    answered: list[str] = field(default_factory=list)
    """To be read without a request: answered by a batch, answered before, or not readable at all."""
    waiting: int = 0
    """Conversations whose batch has not ended."""
    unasked: dict[str, list[Messages]] = field(default_factory=dict)

    @classmethod
    async def of(cls, ledger: Ledger, batches: Batches, pending: Sequence[str]) -> "NextBatch":
        found = cls(ledger, batches)
        for external_id in pending:
            await found._sort(external_id)
        return found

    async def _sort(self, external_id: str) -> None:
        stored = await self.ledger.load(external_id)
        if stored is None or stored.transcript is None or stored.known:
            self.answered.append(external_id)
            return
        cut = parts(stored.lines, self.ledger.settings.part_tokens)
        requests = [prompt.messages(stored.transcript.title, part) for part in cut]
        if all(name_of(messages) in self.batches.answers for messages in requests):
            self.answered.append(external_id)
        elif external_id in self.batches.under_way:
            self.waiting += 1
        else:
            self.unasked[external_id] = requests

    async def send(self, budget: Budget) -> tuple[int, BudgetSpent | None]:
        """Submit a batch; what is left over comes next time.

        Returns how many conversations it holds, and what kept it from holding more than the vendor's limits do.
        """
        chosen: list[str] = []
        asked: list[Messages] = []
        size, total, spent = 0, Usage(), None
        for external_id, requests in self.unasked.items():
            size += sum(len(message["content"].encode("utf-8", "replace")) for one in requests for message in one)
            if len(asked) + len(requests) > MOST_REQUESTS or size > MOST_BYTES:
                break
            estimate = Usage(sum(Asked.of(one).prompt for one in requests), LIKELY_ANSWER * len(requests))
            try:
                budget.reserve(estimate, self.ledger.clock.now())
            except BudgetSpent as error:
                spent = error
                break
            total += estimate
            chosen.append(external_id)
            asked += requests
        if chosen:
            await self.batches.submit(asked, chosen, total)
        return len(chosen), spent
