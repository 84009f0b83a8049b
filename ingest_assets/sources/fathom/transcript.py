"""A Fathom session's transcript: utterances of people, whom the session's invitees may tell more about."""

import re
from collections import defaultdict
from typing import Any

from ingest_assets.sources.json_values import JsonView, flag_of, mapping_of, mappings_in, text_of, whole_of
from ingest_assets.sources.transcript import (
    CUSTOMER,
    INTERNAL,
    UNKNOWN,
    UNKNOWN_SPEAKER,
    Side,
    Stretch,
    Transcript,
    domain,
    side_by_domain,
    transcript_of,
)

SIDES: dict[bool | None, Side] = {False: INTERNAL, True: CUSTOMER}
SHOWN_NAMES = ("matched_speaker_display_name", "name")
Who = tuple[str, Side, str | None]
"""A shown name, a side, and what tells the person from others."""
STAMP = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,4})(?:[.,][0-9]+)?")


def of_fathom(raw: JsonView) -> Transcript:
    """Read a row of `raw.fathom_sessions`."""
    return transcript_of(title_of(raw), stretches_of(raw), _span)


def title_of(meeting: JsonView) -> str | None:
    """Return the recording's title, or else the calendar's."""
    return text_of(meeting.get("title")) or text_of(meeting.get("meeting_title"))


def recorder_of(meeting: JsonView) -> str | None:
    """Return the mail address of who recorded it, also where it stands without the object around it."""
    recorder = meeting.get("recorded_by")
    return text_of(recorder.get("email")) if isinstance(recorder, dict) else _address(recorder)


def _address(value: object) -> str | None:
    return value if isinstance(value, str) and "@" in value else None


def stretches_of(meeting: JsonView) -> list[Stretch]:
    """Return each utterance that has words."""
    people, stretches = _People(meeting), list[Stretch]()
    for place, item in enumerate(mappings_in(meeting.get("transcript"))):
        text = item.get("text")
        if text.__class__ is not str:
            text = text_of(text)
        if text and not text.isspace():
            name, side, person = people.who(item.get("speaker"))
            stretches.append(Stretch(name, side, person or f"utterance {place}", ((text, item),)))
    return stretches


class _People:
    """The people of a session: by mail address, and by shown name where that is one person's only."""

    def __init__(self, meeting: JsonView) -> None:
        self._own = {domain(recorder_of(meeting))}
        self._known: dict[tuple[str | None, str | None], Who] = {}
        """By what an utterance says of its speaker, as it says it."""
        self._sides: dict[str, set[Side]] = defaultdict(set)
        self._emails: dict[str, set[str | None]] = defaultdict(set)
        for invitee in mappings_in(meeting.get("calendar_invitees")):
            email = _lower(text_of(invitee.get("email")))
            side = SIDES.get(flag_of(invitee.get("is_external"))) or side_by_domain(email, self._own)
            names = {name for field in SHOWN_NAMES if (name := text_of(invitee.get(field)))}
            for name in names | ({email} if email else set()):
                self._sides[name].add(side)
            for name in names:
                self._emails[name].add(email)

    def who(self, speaker: Any) -> Who:
        """Return the shown name, the side, and what tells the person from others; None where nothing does."""
        try:
            return self._known[speaker["display_name"], speaker["matched_calendar_invitee_email"]]
        except (KeyError, TypeError):  # not yet; or a field is missing, or no text
            told = {"display_name": speaker} if isinstance(speaker, str) else mapping_of(speaker)
            said = told.get("display_name"), told.get("matched_calendar_invitee_email")
            shown, email = map(text_of, said)
            who = self._who(shown or "", _lower(email))
        if said == (shown, email):
            self._known[shown, email] = who
        return who

    def _who(self, shown: str, email: str | None) -> Who:
        called_so = self._emails.get(shown, {None})
        if email is None and len(called_so) == 1:
            email = next(iter(called_so))
        side = self._side(email or "") or self._side(shown) or side_by_domain(email, self._own)
        alone = shown if len(called_so) == 1 else None
        return shown or email or UNKNOWN_SPEAKER, side, email or alone or None

    def _side(self, name: str) -> Side | None:
        sides = self._sides.get(name)
        if not sides:
            return None
        return next(iter(sides)) if len(sides) == 1 else UNKNOWN


def _lower(email: str | None) -> str | None:
    return email.lower() or None if email else None


def _span(item: JsonView) -> tuple[int, int | None]:
    return _milliseconds(item.get("timestamp")), None


def _milliseconds(stamp: object) -> int:
    """Read HH:MM:SS, MM:SS or a number of seconds; 0 for anything else."""
    if isinstance(stamp, str) and (parts := STAMP.fullmatch(stamp.strip())):
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return ((hours * 60 + minutes) * 60 + seconds) * 1000
    return max(0, whole_of(stamp) or 0) * 1000
