"""What is asked of the model, as a JSON schema, and what is kept of its answer. findings.py reads what comes.

The schema is flat, one list whose items say their kind: far below the strict limits of all documented
deployments (5 levels, 100 properties). Keys are in the order in which a model writes: the quote before what is
concluded from it, the items before the summary.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.transcript import Side

Kind = Literal[
    "pain",
    "objection",
    "competitor",
    "feature_request",
    "commitment",
    "next_step",
    "decision_process",
    "stakeholder",
    "budget",
    "timing",
    "risk",
    "customer_sentiment",
    "topic",
]
KINDS: tuple[str, ...] = get_args(Kind)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Item(_Strict):
    """One finding."""

    quote: str = Field(description="verbatim words of one speaker's turn, at least three, nothing left out")
    speaker: str = Field(description="whose words these are, as written at the front of the turn")
    kind: Kind
    statement: str = Field(description="what the quote shows, in one sentence; a competitor's or topic's name")
    person: str | None = Field(description="who will do it, decides, or feels so, as named in the transcript")
    due: str | None = Field(description="by when, in the speaker's words; commitments, next steps and timing")
    sentiment: Literal["positive", "neutral", "negative", "mixed"] | None = Field(
        description="of the customer's side; for the kind customer_sentiment only"
    )


class Findings(_Strict):
    """The model's whole answer."""

    items: list[Item]
    summary: str = Field(description="three to five sentences, of nothing but what was said")


SCHEMA: Json = Findings.model_json_schema()


@dataclass(frozen=True)
class Feature:
    """A finding whose quote was found: what is stored."""

    kind: str
    statement: str
    person: str | None
    due: str | None
    sentiment: str | None
    quote: str
    speaker: str
    side: Side
    start: int
    end: int | None


def digest(*parts: str) -> str:
    """Return a BLAKE2b digest of some texts."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "replace")
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.hexdigest()
