"""What the simulated language model knows: its keys, and answers that were scripted."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ingest_simulator.errors import OrderError

AS_COUNTED = "as counted"


@dataclass(slots=True)
class Saying:
    """A scripted answer."""

    content: Any
    finish_reason: str | None = "stop"
    refusal: str | None = None
    usage: Any = AS_COUNTED
    document: Any = None
    """The whole answer, whatever else is said."""


@dataclass(slots=True)
class Batch:
    """Requests that were sent as one file."""

    id: str
    input_file_id: str
    metadata: dict[str, str]
    created_at: float
    ends_at: float
    expiring: int
    output_file_id: str | None = None
    error_file_id: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tenant:
    """Who pays for a key, and the server behind it."""

    id: str
    model: str
    context_tokens: int
    knows_schemas: bool
    revoked: bool
    minute_tokens: int = 0
    """A request that may take more is refused as one that comes too soon; 0: no limit."""
    sayings: deque[Saying | None] = field(default_factory=deque)
    """None: an answer like any other."""
    batch_seconds: float = 0.0
    expiring: int = 0
    """Requests of the next batch that are not answered in time."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, "Batch"] = field(default_factory=dict)
    dialect: str = "openai"
    hiccups: int = 0
    """How often it answered with its dialect's own hiccup."""
    inventions: int = 0
    """Answers to come of which every second quote is made up."""


@dataclass(slots=True)
class ModelWorld:
    """The tenants by key."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    answers: int = 0

    def tenant(self, key: str) -> Tenant:
        """Find by key. Raises OrderError."""
        if key not in self.tenants:
            raise OrderError("there is no such key")
        return self.tenants[key]
