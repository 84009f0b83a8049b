"""A transcript as every source's becomes it: who said what, when, and on which side of the table.

People are told apart by the vendor's id, then by mail address, and by shown name only when nothing else is there.
Where nobody can know who speaks, each stretch of speech is a turn of its own: no turn holds the words of two.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from ingest_assets.sources.json_values import text_of

Side = Literal["internal", "customer", "unknown"]
INTERNAL: Final = "internal"
CUSTOMER: Final = "customer"
UNKNOWN: Final = "unknown"
UNKNOWN_SPEAKER = "Unknown speaker"


class Segment(NamedTuple):
    """What one person said without a pause that the vendor knows of.

    Times are milliseconds from the beginning; a start that is not known is 0.
    """

    speaker: str
    """The name that is shown."""
    side: Side
    start: int
    end: int | None
    text: str
    person: str = ""
    """What tells people apart who are called alike; empty where the name does."""


Line = Sequence[Segment]
"""A stretch of one person's speech, as the vendor cut it."""


@dataclass(frozen=True)
class Transcript:
    """A conversation's segments, in order."""

    title: str
    segments: Sequence[Segment]

    def turns(self) -> list[list[Segment]]:
        """Put together what one person said in a row."""
        turns: list[list[Segment]] = []
        before = None
        for segment in self.segments:
            who = (segment.person or segment.speaker, segment.side)
            if who == before:
                turns[-1].append(segment)
            else:
                turns.append([segment])
            before = who
        return turns


def transcript_of(title: Any, lines: Iterable[Line]) -> Transcript:
    """Put lines together under a title of any type."""
    return Transcript(text_of(title) or "", [segment for line in lines for segment in line])


def written(lines: Iterable[Line]) -> str | None:
    """Write each stretch of speech as `name: words` on one line; None where nothing was said."""
    text = "\n".join(f"{_flat(line[0].speaker)}: {_flat(' '.join(said.text for said in line))}" for line in lines)
    return text or None


def _flat(text: str) -> str:
    """Take out line breaks, or somebody's words could pose as a line of somebody else."""
    return " ".join(text.splitlines())


def unknown_speakers(ids: Iterable[str | None]) -> dict[str | None, str]:
    """Return what to call people without a name, by id: numbered where there are several."""
    different = list(dict.fromkeys(ids))
    if len(different) == 1:
        return {different[0]: UNKNOWN_SPEAKER}
    numbered = enumerate((one for one in different if one is not None), 1)
    return {None: UNKNOWN_SPEAKER} | {one: f"{UNKNOWN_SPEAKER} {number}" for number, one in numbered}


def domain(email: str | None) -> str | None:
    """Return what stands behind the @ of a mail address."""
    return email.rpartition("@")[2].lower() or None if email else None


def side_by_domain(email: str | None, own: set[str | None]) -> Side:
    """Tell the side of somebody by whether the address is of one of our domains; unknown if none is known."""
    theirs = domain(email)
    if theirs is None or not own - {None}:
        return UNKNOWN
    return INTERNAL if theirs in own else CUSTOMER
