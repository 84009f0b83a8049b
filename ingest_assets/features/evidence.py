"""Where a quote stands in the transcript; what cannot be found is not evidence.

The tolerance: case, white space and punctuation do not count, and characters are compared as Unicode's
compatibility forms. Every word must be there, in order, with none between, within one person's turn. Fewer than
three words prove nothing, unless they are all that was said in the turn.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from unicodedata import normalize

from ingest_assets.features.model import Feature, Item
from ingest_assets.features.transcript import Segment, Transcript

FEWEST_WORDS = 3
# a letter of a script that is written without spaces is a word of its own; an apostrophe is no end of a word
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_RUN = rf"[^\W_{_UNSPACED}]+"
APOSTROPHES = "'\u2019\u02bc"
WORD = re.compile(rf"[{_UNSPACED}]|{_RUN}(?:[{APOSTROPHES}]{_RUN})*")
WITHOUT_APOSTROPHES = str.maketrans("", "", APOSTROPHES)
TURN_END = "\n"


@dataclass(frozen=True)
class Word:
    """A word, and where it stands."""

    segment: Segment
    start: int
    end: int


class Evidence:
    """A transcript in which quotes can be looked up, thousands a second."""

    def __init__(self, transcript: Transcript) -> None:
        self._words: list[Word] = []
        self._offsets: list[int] = []
        pieces = [TURN_END]
        length = len(TURN_END)
        for turn in transcript.turns():
            for segment in turn:
                for match in WORD.finditer(segment.text):
                    word = f" {_folded(match.group())}"
                    self._words.append(Word(segment, match.start(), match.end()))
                    self._offsets.append(length)
                    pieces.append(word)
                    length += len(word)
            pieces.append(f" {TURN_END}")
            length += len(TURN_END) + 1
        self._text = "".join(pieces)

    def find(self, quote: str, speaker: str | None = None) -> tuple[Word, Word, str] | None:
        """Give the first and the last word of a quote, and the words between them as they stand.

        Where several people said the same, it is the place where `speaker` did, or else the first.
        """
        words = [_folded(match.group()) for match in WORD.finditer(quote)]
        wanted = f" {' '.join(words)} "
        if len(words) < FEWEST_WORDS:
            wanted = f"{TURN_END}{wanted}{TURN_END}"
        places = [self._at(at, wanted, len(words)) for at in self._occurrences(wanted)] if words else []
        if not places:
            return None
        found = next((place for place in places if place[0].segment.speaker == speaker), places[0])
        said = " ".join(_as_said(list(group)) for _, group in groupby(found, key=lambda word: id(word.segment)))
        return found[0], found[-1], said

    def _occurrences(self, wanted: str) -> Iterator[int]:
        at = self._text.find(wanted)
        while at >= 0:
            yield at
            at = self._text.find(wanted, at + 1)

    def _at(self, at: int, wanted: str, length: int) -> list[Word]:
        at += len(wanted) - len(wanted.lstrip(TURN_END))
        first = bisect_right(self._offsets, at) - 1
        return self._words[first : first + length]

    def feature(self, item: Item) -> Feature | None:
        """Put speaker and time to an item, from where its quote was found; None where it was not."""
        place = self.find(item.quote, item.speaker)
        if place is None:
            return None
        first, last, quote = place
        return Feature(
            kind=item.kind,
            statement=item.statement,
            person=item.person,
            due=item.due,
            sentiment=item.sentiment,
            quote=quote,
            speaker=first.segment.speaker,
            side=first.segment.side,
            start=first.segment.start,
            end=last.segment.end,
        )


def _as_said(words: list[Word]) -> str:
    return words[0].segment.text[words[0].start : words[-1].end]


def _folded(word: str) -> str:
    return normalize("NFKC", word.translate(WITHOUT_APOSTROPHES)).casefold()
