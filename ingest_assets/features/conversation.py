"""Read one conversation: part by part, in halves where a part is too long, each finding with its evidence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest_assets.features import prompt
from ingest_assets.features.answer import HALVED, MALFORMED, Rejected, Usage
from ingest_assets.features.client import TooLong, Unanswered
from ingest_assets.features.evidence import Evidence
from ingest_assets.features.findings import parse
from ingest_assets.features.model import Feature, Findings
from ingest_assets.features.parts import halves, parts
from ingest_assets.sources.transcript import Transcript
from ingest_assets.sources.values import storable, storable_text

Request = Callable[[list[dict[str, Any]]], Awaitable[str | None]]
"""Makes a request and gives its answer's text; None when the budget does not allow it."""


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

    def columns(self) -> dict[str, Any]:
        """Return what is stored of it."""
        features = sorted(self.features.values(), key=lambda one: (one.start, one.kind))
        return {
            "summary": storable_text("\n\n".join(self.summaries)),
            "items": storable([asdict(one) for one in features]),
            "dropped": self.dropped,
        }


async def read(transcript: Transcript, lines: Sequence[str], part_tokens: int, request: Request) -> Reading | None:
    """Read all parts. None: the budget came first, and nothing is to be stored of half a conversation.

    Raises what `LanguageModel.ask` raises.
    """
    conversation = _Conversation(transcript.title, Evidence(transcript), request)
    for part in parts(lines, part_tokens):
        if not await conversation.part(part):
            return None
    return conversation.reading


class _Conversation:
    def __init__(self, title: str, evidence: Evidence, request: Request) -> None:
        self.title, self.evidence, self.request = title, evidence, request
        self.reading = Reading()

    async def part(self, lines: Sequence[str]) -> bool:
        """Ask about one part; in halves where it is too long. False: the budget does not allow it."""
        try:
            findings = await self._ask(prompt.messages(self.title, lines))
        except (TooLong, Rejected) as error:
            cut = isinstance(error, TooLong) or error.outcome in HALVED
            two = halves(lines) if cut else None
            if two is None:
                raise
            for half in two:
                if not await self.part(half):
                    return False
            return True
        if findings is None:
            return False
        self.reading.add(findings, self.evidence)
        return True

    async def _ask(self, asked: list[dict[str, Any]]) -> Findings | None:
        """Ask, and once more with the faults named; None when the budget does not allow it."""
        content = await self.request(asked)
        if content is None:
            return None
        findings, faults = parse(content)
        if not faults:
            return findings
        corrected = await self._corrected(prompt.repair(asked, content, faults), findings)
        if corrected is not None:
            second, faults_left = parse(corrected)
            if second is not None:
                findings, faults = second, faults_left
        if findings is None:
            if corrected is None:
                return None  # nor does the budget allow the correction
            raise Rejected(MALFORMED, Usage())
        self.reading.malformed += len(faults)
        return findings

    async def _corrected(self, asked: list[dict[str, Any]], findings: Findings | None) -> str | None:
        """Ask for a correction; where that fails, what is there already is better than nothing."""
        try:
            return await self.request(asked)
        except (Rejected, TooLong, Unanswered):
            if findings is None:
                raise
            return None
