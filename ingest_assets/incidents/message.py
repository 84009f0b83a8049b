"""What is told of an incident: our own words and workspaces' slugs, and nothing that a vendor or customer wrote.

The same facts give the same message, byte for byte, so that a repeated one is known by its id.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest_assets.incidents.causes import CAUSES, vendor
from ingest_assets.storage.schema import StoredRow

WORDS = {"opened": "New", "escalated": "Still open, or worse", "recovered": "Over"}
NO_ANSWER = "no answer in time"
MAYBE_ARRIVED = {None, NO_ANSWER}
"""What the last try left behind where the message may have arrived: its sender was killed, or waited too long."""
SOME = "WORKSPACE"  # in a command, where several workspaces are touched


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message to one receiver."""

    key: str
    """The same for each try, so that a receiver can leave out what it has; of no other message."""
    title: str
    text: str
    body: dict[str, Any]
    repeated: bool = False
    """An earlier try may have arrived."""

    @property
    def json(self) -> bytes:
        return json.dumps(self.body, separators=(",", ":")).encode()


def message_of(row: StoredRow) -> Message:
    """Make the message of a claimed row of `ingest.incident_messages`."""
    cause, facts = CAUSES[row.cause], row.facts
    names: Sequence[str] = facts["workspaces"]
    words = {
        "vendor": vendor(row.subject),
        "source": row.subject,
        "workspace": names[0] if len(names) == 1 else SOME,
    }
    title, what, command, forward = (
        part.format(**words) for part in (cause.title, cause.what, cause.command, cause.forward)
    )
    over = row.kind == "recovered"
    title = f"{WORDS[row.kind]}: {title[:1].upper()}{title[1:]} ({_count(facts['count'])})"
    since = _time(facts["since"])
    lines = [
        title,
        f"Incident {row.incident_id}, {row.severity}. Since {since}"
        + (f", until {_time(facts['seen_at'])}." if over else "."),
    ]
    if not over:
        lines += [f"Who has to act: {cause.who}.", what, f"Command: {command}"]
    if names:
        lines.append(f"Workspaces: {', '.join(names)}{_more(facts['count'], len(names))}.")
    if forward and not over:
        lines.append(f"To forward to the customer: {forward[:1].upper()}{forward[1:]}")
    body = {
        "type": f"incident.{row.kind}",
        "timestamp": row.created_at.astimezone(UTC).isoformat(),
        "data": {
            "incident": row.incident_id,
            "level": row.level,
            "cause": row.cause,
            "subject": row.subject,
            "severity": row.severity,
            "title": title,
            "since": facts["since"],
            "opened_at": facts["opened_at"],
            "closed_at": facts["closed_at"],
            "workspaces": list(names),
            "workspaces_count": facts["count"],
            "who": cause.who,
            "what": what,
            "command": command,
            "forward": forward,
        },
    }
    return Message(
        key=f"incident-{row.incident_id}-{row.kind}-{row.level}",
        title=title,
        text="\n".join(lines),
        body=body,
        repeated=row.attempts > 1 and row.last_answer in MAYBE_ARRIVED,
    )


def test_message(key: str, now: datetime) -> Message:
    """Make the message of `ingest-assets alert test`."""
    title = "Test: incidents of ingest-assets are told here"
    return Message(
        key=key,
        title=title,
        text=f"{title}\nNothing is the matter, and nobody has to act.",
        body={"type": "test", "timestamp": now.isoformat(), "data": {"title": title}},
    )


def _count(count: int) -> str:
    return f"{count} workspace{'' if count == 1 else 's'}" if count else "all workspaces"


def _more(count: int, named: int) -> str:
    return f" and {count - named} more" if count > named else ""


def _time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
