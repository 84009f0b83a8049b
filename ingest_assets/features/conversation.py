"""Read one conversation: part by part, in halves where a part is too long, each finding with its evidence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest_assets.features import prompt
from ingest_assets.features.answer import HALVED, MALFORMED, Rejected, Usage
from ingest_assets.features.budget import BudgetSpent
from ingest_assets.features.client import TooLong, Unanswered
from ingest_assets.features.evidence import Evidence
from ingest_assets.features.findings import parse
from ingest_assets.features.model import Feature, Findings
from ingest_assets.features.parts import halves, parts
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.transcript import Transcript
from ingest_assets.sources.values import storable, storable_text

Request = Callable[[list[Json]], Awaitable[str]]
"""Makes a request and returns its answer's text; raises BudgetSpent, and what `LanguageModel.ask` raises."""


@dataclass
class Reading:
    """What was found in one conversation so far."""

    summaries: list[str] = field(default_factory=list)
    features: dict[tuple[Any, ...], Feature] = field(default_factory=dict)
    dropped: int = 0
    malformed: int = 0

    def add(self, findings: Findings, evidence: Evidence) -> None:
        """Keep what is proven, once."""
        if findings.summary:
            self.summaries.append(findings.summary)
        for item in findings.items:
            feature = evidence.feature(item)
            if feature is None:
                self.dropped += 1
            else:
                self.features.setdefault((feature.kind, feature.start, feature.quote), feature)

    def columns(self) -> Json:
        """Return what is stored of it."""
        features = sorted(self.features.values(), key=lambda one: (one.start, one.kind))
        return {
            "summary": storable_text("\n\n".join(self.summaries)),
            "items": storable([asdict(one) for one in features]),
            "dropped": self.dropped,
        }


async def read(transcript: Transcript, lines: Sequence[str], part_tokens: int, request: Request) -> Reading:
    """Read all parts. Raises what `request` raises: nothing is stored of half a conversation."""
    conversation = _Conversation(transcript.title, Evidence(transcript), request)
    for part in parts(lines, part_tokens):
        await conversation.part(part)
    return conversation.reading


class _Conversation:
    def __init__(self, title: str, evidence: Evidence, request: Request) -> None:
        self.title, self.evidence, self.request = title, evidence, request
        self.reading = Reading()

    async def part(self, lines: Sequence[str]) -> None:
        """Ask about one part; in halves where it is too long."""
        try:
            findings = await self._ask(prompt.messages(self.title, lines))
        except (TooLong, Rejected) as error:
            two = halves(lines) if isinstance(error, TooLong) or error.outcome in HALVED else None
            if two is None:
                raise
            for half in two:
                await self.part(half)
        else:
            self.reading.add(findings, self.evidence)

    async def _ask(self, messages: list[Json]) -> Findings:
        """Ask, and once more with the faults named; where that fails, what is there is better than nothing."""
        content = await self.request(messages)
        findings, faults = parse(content)
        if faults:
            try:
                second, faults_left = parse(await self.request(prompt.repair(messages, content, faults)))
            except (Rejected, TooLong, Unanswered, BudgetSpent):
                if findings is None:
                    raise
            else:
                findings, faults = (findings, faults) if second is None else (second, faults_left)
        if findings is None:
            raise Rejected(MALFORMED, Usage())
        self.reading.malformed += len(faults)
        return findings
