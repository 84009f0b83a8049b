"""What became of one workspace's conversations in a run."""

from collections import Counter
from dataclasses import asdict, dataclass, field

from ingest_assets.features.answer import Usage
from ingest_assets.sources.json_values import Json

SUCCESS, PARTIAL, FAILED, SKIPPED = "success", "partial", "failed", "skipped"
MODEL_REFUSED, QUOTA_SPENT, MODEL_DOWN, BUDGET_SPENT = "refused", "no quota", "down", "budget spent"
"""Outcomes of a run that had to stop."""
NO_KEY = "OPENAI_API_KEY is not set: no features are extracted. Everything else is complete without it."


@dataclass
class Report:
    """What became of one workspace's conversations. Counts only, never a text."""

    workspace_id: str
    status: str = SUCCESS
    reason: str | None = None
    extracted: int = 0
    unchanged: int = 0
    """Conversations whose rows changed, but not what was said in them."""
    rejected: int = 0
    unanswered: int = 0
    """Conversations about which the model did not answer; they remain."""
    postponed: int = 0
    """Conversations that failed in earlier runs and whose pause is not over."""
    forgotten: int = 0
    remaining: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    malformed: int = 0
    """Items that did not follow the schema."""
    submitted: int = 0
    """Conversations that were sent as a batch."""
    waiting: int = 0
    """Conversations whose batch has not ended."""
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: float = 0.0
    format: str | None = None
    shed: list[str] = field(default_factory=list)
    """What the server does not know of our requests."""

    def as_json(self) -> Json:
        """Return the report as JSON can hold it."""
        return {**vars(self), "kinds": dict(self.kinds), "usage": asdict(self.usage)}
