"""What a workspace may still spend, today and in this run."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine

from ingest_assets.errors import IngestError
from ingest_assets.features.answer import Usage
from ingest_assets.features.settings import ModelSettings
from ingest_assets.storage.model_requests import spent

MILLION = 1_000_000
LIKELY_ANSWER = 1_500  # tokens, as long as the answer is not there


class BudgetSpent(IngestError):
    """A limit of OPENAI_RUN_... or OPENAI_DAY_... does not allow the next request."""

    def __init__(self, limit: str, until: datetime) -> None:
        super().__init__(f"{limit} is reached.")
        self.until = until
        """When a run may go on."""


def midnight(now: datetime) -> datetime:
    """Return the beginning of the day (UTC), from which a day's spending counts."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def dollars(settings: ModelSettings, usage: Usage) -> Decimal:
    """Price some tokens."""
    share = Decimal(str(settings.batch_price)) if usage.batched else 1
    return (
        share
        * (usage.input * Decimal(str(settings.input_price)) + usage.output * Decimal(str(settings.output_price)))
        / MILLION
    )


@dataclass
class Budget:
    """Spending of one run; what is asked for but not answered counts as estimated."""

    settings: ModelSettings
    day_tokens: int
    day_dollars: Decimal
    used: Usage = field(default_factory=Usage)
    reserved: Usage = field(default_factory=Usage)

    @classmethod
    def load(cls, settings: ModelSettings, engine: Engine, workspace_id: str, now: datetime) -> "Budget":
        """Start a run with what the day has spent so far."""
        with engine.connect() as conn:
            tokens, money = spent(conn, workspace_id, midnight(now))
        return cls(settings, tokens, money)

    def reserve(self, estimate: Usage, now: datetime) -> None:
        """Set tokens aside. Raises BudgetSpent."""
        run = self.used + self.reserved + estimate
        cost = dollars(self.settings, run)
        limits = (
            ("OPENAI_DAY_TOKENS", self.day_tokens + run.total, self.settings.day_tokens),
            ("OPENAI_RUN_TOKENS", run.total, self.settings.run_tokens),
            ("OPENAI_DAY_DOLLARS", self.day_dollars + cost, self.settings.day_dollars),
            ("OPENAI_RUN_DOLLARS", cost, self.settings.run_dollars),
        )
        for name, needed, limit in limits:
            if limit is not None and needed > limit:
                raise BudgetSpent(name, midnight(now) + timedelta(days=1) if "_DAY_" in name else now)
        self.reserved += estimate

    def settle(self, estimate: Usage, actual: Usage) -> None:
        """Replace an estimate by what was used."""
        self.reserved = Usage(self.reserved.input - estimate.input, self.reserved.output - estimate.output)
        self.used += actual
