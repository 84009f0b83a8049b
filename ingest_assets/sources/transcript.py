"""A transcript as every source's becomes it: who said what, when, and on which side of the table.

People are told apart by the vendor's id, then by mail address, and by shown name only when nothing else is there.
Where nobody can know who speaks, each stretch of speech is a turn of its own: no turn holds the words of two.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ingest_assets.sources.json_values import JsonView, text_of

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


class Stretch(NamedTuple):
    """What one person said, as the vendor cut it: each piece of it, and the vendor's item that holds it."""

    speaker: str
    side: Side
    person: str
    said: Sequence[tuple[str, JsonView]]


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


def transcript_of(
    title: object, stretches: Iterable[Stretch], span_of: Callable[[JsonView], tuple[int, int | None]]
) -> Transcript:
    """Put stretches together under a title of any type. `span_of`: the start and the end of a piece."""
    segments = [
        Segment(speaker, side, *span_of(item), text, person)
        for speaker, side, person, said in stretches
        for text, item in said
    ]
    return Transcript(text_of(title) or "", segments)


def written(stretches: Iterable[Stretch]) -> str | None:
    """Write each stretch as `name: words` on one line; None where nothing was said.

    Line breaks are taken out, or somebody's words could pose as a line of somebody else.
    """
    lines = [
        f"{speaker}: {said[0][0] if len(said) == 1 else ' '.join([text for text, _ in said])}"
        for speaker, _side, _person, said in stretches
    ]
    if len(f"{' '.join(lines)}.".splitlines()) > 1:  # seldom, and looked for once for all lines
        lines = [" ".join(line.splitlines()) for line in lines]
    return "\n".join(lines) or None


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
