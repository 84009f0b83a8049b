"""A transcript as every source's becomes it: who said what, when, and on which side of the table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Side = Literal["internal", "customer", "unknown"]
INTERNAL: Final = "internal"
CUSTOMER: Final = "customer"
UNKNOWN: Final = "unknown"
NOBODY = "Unknown speaker"


@dataclass(frozen=True)
class Segment:
    """What one person said without a pause that the vendor knows of; times are milliseconds from the start."""

    speaker: str
    side: Side
    start: int
    end: int | None
    text: str


@dataclass(frozen=True)
class Transcript:
    """A conversation's segments, in order."""

    title: str
    segments: Sequence[Segment]

    def turns(self) -> list[list[Segment]]:
        """Put together what one person said in a row."""
        turns: list[list[Segment]] = []
        for segment in self.segments:
            last = turns[-1][-1] if turns else None
            if last is not None and (last.speaker, last.side) == (segment.speaker, segment.side):
                turns[-1].append(segment)
            else:
                turns.append([segment])
        return turns


def of_gong(raw: Mapping[str, Any]) -> Transcript:
    """Read a row of `raw.gong_calls`. A party's affiliation says its side, or else its mail domain."""
    parties = raw.get("parties") or []
    own = {_domain(party.get("emailAddress")) for party in parties if party.get("affiliation") == "Internal"}
    people = {
        party["speakerId"]: (
            party.get("name") or party.get("emailAddress") or NOBODY,
            _GONG_SIDES.get(party.get("affiliation")) or _by_domain(party.get("emailAddress"), own),
        )
        for party in parties
        if party.get("speakerId")
    }
    segments = [
        Segment(*people.get(turn.get("speakerId"), (NOBODY, UNKNOWN)), *_span(sentence), sentence["text"])
        for turn in _said(raw.get("transcript"))
        for sentence in _said(turn.get("sentences"))
        if sentence["text"] is not None
    ]
    return Transcript(raw.get("metaData", {}).get("title") or "", segments)


_GONG_SIDES: dict[Any, Side] = {"Internal": INTERNAL, "External": CUSTOMER}


def _said(items: Sequence[Mapping[str, Any] | None] | None) -> Sequence[Mapping[str, Any]]:
    """Leave out the entries that vendors send as null."""
    return [item for item in items or () if item is not None]


def _span(sentence: Mapping[str, Any]) -> tuple[int, int | None]:
    end = sentence.get("end")
    return int(sentence.get("start") or 0), None if end is None else int(end)


def of_fathom(raw: Mapping[str, Any]) -> Transcript:
    """Read a row of `raw.fathom_sessions`. An invitee is external or not, as Fathom says, or else by domain."""
    invitees = raw.get("calendar_invitees") or []
    own = {_domain((raw.get("recorded_by") or {}).get("email"))}
    sides: dict[str, Side] = {}
    for invitee in invitees:
        side: Side = _FATHOM_SIDES.get(invitee.get("is_external")) or _by_domain(invitee.get("email"), own)
        for name in ("email", "matched_speaker_display_name", "name"):
            if invitee.get(name):
                sides.setdefault(invitee[name], side)
    return Transcript(
        raw.get("title") or raw.get("meeting_title") or "",
        list(_fathom_segments(_said(raw.get("transcript")), sides, own)),
    )


_FATHOM_SIDES: dict[Any, Side] = {False: INTERNAL, True: CUSTOMER}


def _fathom_segments(
    items: Sequence[Mapping[str, Any]], sides: Mapping[str, Side], own: set[str | None]
) -> Iterator[Segment]:
    for item in items:
        if item["text"] is None:
            continue
        speaker = item.get("speaker") or {}
        name, email = speaker.get("display_name"), speaker.get("matched_calendar_invitee_email")
        side = sides.get(email or "") or sides.get(name or "") or _by_domain(email, own)
        yield Segment(name or NOBODY, side, _milliseconds(item.get("timestamp")), None, item["text"])


def _milliseconds(stamp: str | None) -> int:
    """Read HH:MM:SS."""
    seconds = 0
    for part in (stamp or "0").split(":"):
        seconds = seconds * 60 + int(part)
    return seconds * 1000


def _domain(email: str | None) -> str | None:
    return email.rpartition("@")[2].lower() or None if email else None


def _by_domain(email: str | None, own: set[str | None]) -> Side:
    domain = _domain(email)
    if domain is None or not own - {None}:
        return UNKNOWN
    return INTERNAL if domain in own else CUSTOMER
