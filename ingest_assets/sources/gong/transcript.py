"""A Gong call's transcript: monologues of speakers, whom the call's parties name."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest_assets.sources.json_values import list_of, mapping_of, mappings_in, text_of, whole_of
from ingest_assets.sources.transcript import (
    CUSTOMER,
    INTERNAL,
    UNKNOWN,
    Line,
    Segment,
    Side,
    Transcript,
    domain,
    side_by_domain,
    transcript_of,
    unknown_speakers,
)

SIDES: dict[str | None, Side] = {"Internal": INTERNAL, "External": CUSTOMER}


class Party(NamedTuple):
    """Somebody who spoke."""

    name: str | None
    side: Side


class Said(NamedTuple):
    """A sentence with words."""

    start: int
    end: int | None
    text: str


def of_gong(raw: Mapping[str, Any]) -> Transcript:
    """Read a row of `raw.gong_calls`."""
    title = mapping_of(raw.get("metaData")).get("title")
    return transcript_of(title, lines_of(raw.get("transcript"), raw.get("parties")))


def lines_of(transcript: Any, parties: Any) -> list[Line]:
    """Return each monologue that has words. One of somebody who is not among the parties is nobody else's."""
    people = _people(parties)
    spoken = [
        (text_of(monologue.get("speakerId")) or None, said)
        for monologue in mappings_in(transcript)
        if (said := _sentences(monologue))
    ]
    nameless = unknown_speakers(speaker for speaker, _ in spoken if _name(people, speaker) is None)
    lines: list[Line] = []
    for place, (speaker, said) in enumerate(spoken):
        party = None if speaker is None else people.get(speaker)
        name = _name(people, speaker) or nameless[speaker]
        side = UNKNOWN if party is None else party.side
        person = f"monologue {place}" if party is None else f"speaker {speaker}"
        lines.append([Segment(name, side, *sentence, person) for sentence in said])
    return lines


def _people(parties: Any) -> dict[str, Party]:
    """Return who spoke by speakerId. A party's affiliation says its side, or else its mail domain."""
    present = mappings_in(parties)
    own = {
        domain(text_of(party.get("emailAddress"))) for party in present if party.get("affiliation") == "Internal"
    }
    people: dict[str, Party] = {}
    for party in present:
        if speaker := text_of(party.get("speakerId")):
            email = text_of(party.get("emailAddress"))
            side = SIDES.get(text_of(party.get("affiliation"))) or side_by_domain(email, own)
            people[speaker] = Party(text_of(party.get("name")) or email or None, side)
    return people


def _name(people: Mapping[str, Party], speaker: str | None) -> str | None:
    party = None if speaker is None else people.get(speaker)
    return None if party is None else party.name


def _sentences(monologue: Mapping[str, Any]) -> list[Said]:
    found: list[Said] = []
    for sentence in list_of(monologue.get("sentences")):
        told = {"text": sentence} if isinstance(sentence, str) else mapping_of(sentence)
        text = text_of(told.get("text"))
        if text and not text.isspace():
            found.append(Said(whole_of(told.get("start")) or 0, whole_of(told.get("end")), text))
    return found
