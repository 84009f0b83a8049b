"""What a workspace may still spend, today and in this run."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine

from ingest_assets.features.answer import Usage
from ingest_assets.features.settings import ModelSettings
from ingest_assets.storage import features as storage

MILLION = 1_000_000


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
            tokens, money = storage.spent(conn, workspace_id, midnight(now))
        return cls(settings, tokens, money)

    def reserve(self, estimate: Usage) -> str | None:
        """Set tokens aside, or name the limit that does not allow it."""
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
                return name
        self.reserved += estimate
        return None

    def settle(self, estimate: Usage, actual: Usage) -> None:
        """Replace an estimate by what was used."""
        self.reserved = Usage(self.reserved.input - estimate.input, self.reserved.output - estimate.output)
        self.used += actual


def next_start(limit: str, now: datetime) -> datetime:
    """Return when a run may go on that a limit stopped."""
    return midnight(now) + timedelta(days=1) if "_DAY_" in limit else now
