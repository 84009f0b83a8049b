"""A Gong call's transcript: monologues of speakers, whom the call's parties name."""

from typing import NamedTuple

from ingest_assets.sources.json_values import JsonView, list_of, mapping_of, mappings_in, text_of, whole_of
from ingest_assets.sources.transcript import (
    CUSTOMER,
    INTERNAL,
    UNKNOWN,
    Side,
    Stretch,
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


def of_gong(raw: JsonView) -> Transcript:
    """Read a row of `raw.gong_calls`."""
    title = mapping_of(raw.get("metaData")).get("title")
    return transcript_of(title, stretches_of(raw.get("transcript"), raw.get("parties")), _span)


def stretches_of(transcript: object, parties: object) -> list[Stretch]:
    """Return each monologue that has words. One of somebody who is not among the parties is nobody else's."""
    people = _people(parties)
    spoken = [
        (text_of(monologue.get("speakerId")) or None, said)
        for monologue in mappings_in(transcript)
        if (said := _sentences(monologue))
    ]
    nameless = unknown_speakers(
        speaker for speaker, _ in spoken if (party := people.get(speaker)) is None or party.name is None
    )
    stretches: list[Stretch] = []
    for place, (speaker, said) in enumerate(spoken):
        party = people.get(speaker)
        if party is None:
            stretches.append(Stretch(nameless[speaker], UNKNOWN, f"monologue {place}", said))
        else:
            stretches.append(Stretch(party.name or nameless[speaker], party.side, f"speaker {speaker}", said))
    return stretches


def _people(parties: object) -> dict[str | None, Party]:
    """Return who spoke by speakerId. A party's affiliation says its side, or else its mail domain."""
    present = mappings_in(parties)
    own = {
        domain(text_of(party.get("emailAddress"))) for party in present if party.get("affiliation") == "Internal"
    }
    people: dict[str | None, Party] = {}
    for party in present:
        if speaker := text_of(party.get("speakerId")):
            email = text_of(party.get("emailAddress"))
            side = SIDES.get(text_of(party.get("affiliation"))) or side_by_domain(email, own)
            people[speaker] = Party(text_of(party.get("name")) or email or None, side)
    return people


def _sentences(monologue: JsonView) -> list[tuple[str, JsonView]]:
    found: list[tuple[str, JsonView]] = []
    for sentence in list_of(monologue.get("sentences")):
        told = {"text": sentence} if isinstance(sentence, str) else mapping_of(sentence)
        text = text_of(told.get("text"))
        if text and not text.isspace():
            found.append((text, told))
    return found


def _span(sentence: JsonView) -> tuple[int, int | None]:
    return whole_of(sentence.get("start")) or 0, whole_of(sentence.get("end"))
