"""What an invitation says (iCalendar, RFC 5545): a small reader of the lines that a person would read.

No recurrence is expanded and no time zone computed: times are shown as they were written, with their zone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

LONGEST = 500_000  # characters; invitations have a few thousand
ONE_DAY = timedelta(days=1)
MOST_EVENTS = 20  # of one file: an invitation has one, and one more for each moved date of a series
SHOWN = frozenset(
    {"SUMMARY", "DTSTART", "DTEND", "DURATION", "LOCATION", "DESCRIPTION", "ORGANIZER", "STATUS", "RRULE"}
)
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"([A-Za-z-]+)((?:;[A-Za-z-]+=(?:\"[^\"]*\"|[^;:\"]*))*):(.*)")
_ZONE = re.compile(r";TZID=\"?([^;:\"]+)", re.IGNORECASE)
_NAME = re.compile(r";CN=\"?([^;:\"]+)", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})\d{2}(Z?))?")
_ESCAPE = re.compile(r"\\([nN,;\\])")


@dataclass(frozen=True)
class _Value:
    parameters: str
    value: str

    @property
    def text(self) -> str:
        return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], self.value).strip()


@dataclass
class _Event:
    values: dict[str, _Value] = field(default_factory=dict)

    def said(self, name: str) -> str:
        return self.values[name].text if name in self.values else ""


def text_of_calendar(calendar: str) -> str:
    """Return summary, time, place, organiser and description of each event, or "" where there is none."""
    calendar = calendar[:LONGEST]
    cancelled = re.search(r"^METHOD:CANCEL\s*$", calendar, re.MULTILINE | re.IGNORECASE) is not None
    return "\n\n".join(_told(event, cancelled=cancelled) for event in _events(calendar)).strip()


def _events(calendar: str) -> list[_Event]:
    events: list[_Event] = []
    inside: list[str] = []  # components, of which an alarm's lines do not count
    for name, value in _lines(calendar):
        if name == "BEGIN":
            inside.append(value.value.strip().upper())
            if inside[-1] == "VEVENT":
                if len(events) == MOST_EVENTS:
                    break
                events.append(_Event())
        elif name == "END":
            del inside[-1:]
        elif inside and inside[-1] == "VEVENT" and name in SHOWN:
            events[-1].values.setdefault(name, value)
    return events


def _lines(calendar: str) -> Iterator[tuple[str, _Value]]:
    for line in _FOLD.sub("", calendar).splitlines():
        if found := _LINE.match(line):
            yield found[1].upper(), _Value(found[2], found[3])


def _told(event: _Event, *, cancelled: bool) -> str:
    cancelled = cancelled or event.said("STATUS").upper() == "CANCELLED"
    summary = event.said("SUMMARY") or "(without a title)"
    organizer = event.values.get("ORGANIZER")
    lines = [
        f"Cancelled: {summary}" if cancelled else summary,
        _line("When", _period(event)),
        _line("Repeats", event.said("RRULE")),
        _line("Where", event.said("LOCATION")),
        _line("Organizer", "" if organizer is None else _person(organizer)),
    ]
    return "\n".join(filter(None, lines)) + (f"\n\n{said}" if (said := event.said("DESCRIPTION")) else "")


def _line(name: str, value: str) -> str:
    return f"{name}: {value}" if value else ""


def _person(organizer: _Value) -> str:
    address = re.sub("^mailto:", "", organizer.text, flags=re.IGNORECASE)
    name = _NAME.search(organizer.parameters)
    return f"{name[1].strip()} <{address}>" if name and name[1].strip() != address else address


def _period(event: _Event) -> str:
    start, end = event.values.get("DTSTART"), event.values.get("DTEND")
    if start is None:
        return ""
    day, time = _moment(start)
    until = event.said("DURATION") if end is None else ""
    if end is not None:
        last_day, last_time = _moment(end)
        if not time and not last_time:
            last_day = _day_before(last_day)
        until = last_time if last_day == day else f"{last_day} {last_time}".strip()
    zone = _zone(start)
    period = f"{day} {time}".strip() + (f" to {until}" if until and until != time else "")
    return f"{period} ({zone})" if zone else period


def _moment(value: _Value) -> tuple[str, str]:
    """Return day and time of day, the latter "" for whole days."""
    found = _TIME.match(value.value.strip())
    if found is None:
        return value.text, ""
    year, month, day, hour, minute, _utc = found.groups()
    return f"{year}-{month}-{day}", "" if hour is None else f"{hour}:{minute}"


def _day_before(day: str) -> str:
    """Return the last day of an event of whole days, whose end is the day after."""
    try:
        return (date.fromisoformat(day) - ONE_DAY).isoformat()
    except (ValueError, OverflowError):
        return day


def _zone(value: _Value) -> str:
    found = _ZONE.search(value.parameters)
    if found is not None:
        return found[1].strip()
    return "UTC" if value.value.strip().upper().endswith("Z") else ""
