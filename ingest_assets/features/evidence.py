"""Where a quote stands in the transcript; what cannot be found is not evidence.

What is compared is what people read: words.py says which differences do not count. Every word must be there, in
order, with none between, within one person's turn. Fewer than three words prove nothing, unless they are all that
was said in the turn. What is stored is the transcript's own text, in whole graphemes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from ingest_assets.features.model import Feature, Item
from ingest_assets.features.words import folded, words
from ingest_assets.sources.transcript import Segment, Transcript

FEWEST_WORDS = 3
TURN_END = "\n"


@dataclass(frozen=True)
class Place:
    """Where a quote stands: the segments of its first and last word, and its words as they were said."""

    first: Segment
    last: Segment
    quote: str


class _Index:
    """Turns of one person or of all, in which some words can be looked up in time that grows with the text."""

    def __init__(self, turns: Iterable[Sequence[Segment]]) -> None:
        self._segments: list[Segment] = []
        self._offsets: list[int] = []
        pieces = [TURN_END]
        length = len(TURN_END)
        for turn in turns:
            for segment in turn:
                piece = folded(segment.text)
                self._segments.append(segment)
                self._offsets.append(length)
                pieces.append(piece)
                length += len(piece)
            pieces.append(f" {TURN_END}")
            length += 1 + len(TURN_END)
        self._text = "".join(pieces)

    def find(self, wanted: str) -> Place | None:
        """Return the first place where these words stand within a turn."""
        text = f"{wanted} "
        if wanted.count(" ") < FEWEST_WORDS:
            text = f"{TURN_END}{text}{TURN_END}"
        at = self._text.find(text)
        if at < 0:
            return None
        return self._place(at + len(text) - len(text.lstrip(TURN_END)), wanted.count(" "))

    def _place(self, at: int, count: int) -> Place:
        first = number = bisect_right(self._offsets, at) - 1
        skipped = self._text.count(" ", self._offsets[first], at)
        said = []
        while count:
            text = self._segments[number].text
            chosen = list(islice(words(text), skipped, skipped + count))
            if chosen:
                said.append(text[chosen[0].start : chosen[-1].end])
                last = number
            count, skipped, number = count - len(chosen), 0, number + 1
        return Place(self._segments[first], self._segments[last], " ".join(said))


class Evidence:
    """A transcript in which quotes can be looked up, thousands a second."""

    def __init__(self, transcript: Transcript) -> None:
        self._turns = transcript.turns()
        self._all = _Index(self._turns)
        self._by_speaker: dict[str, _Index] = {}

    def find(self, quote: str, speaker: str | None = None) -> Place | None:
        """Return the place of a quote; where several people said the same, that of `speaker`, else the first."""
        wanted = folded(quote)
        place = self._all.find(wanted) if wanted else None
        if place is None or speaker is None or place.first.speaker == speaker:
            return place
        return self._of(speaker).find(wanted) or place

    def _of(self, speaker: str) -> _Index:
        if speaker not in self._by_speaker:
            own = [turn for turn in self._turns if turn[0].speaker == speaker]
            if not own:
                return _Index([])
            self._by_speaker[speaker] = _Index(own)
        return self._by_speaker[speaker]

    def feature(self, item: Item) -> Feature | None:
        """Put speaker and time to an item, from where its quote was found; None where it was not."""
        place = self.find(item.quote, item.speaker)
        if place is None:
            return None
        return Feature(
            kind=item.kind,
            statement=item.statement,
            person=item.person,
            due=item.due,
            sentiment=item.sentiment,
            quote=place.quote,
            speaker=place.first.speaker,
            side=place.first.side,
            start=place.first.start,
            end=place.last.end,
        )
