"""What we keep of Fathom: sessions with what was said in them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from ingest_assets.sources.login import Account
from ingest_assets.sources.readiness import state_of
from ingest_assets.sources.record import ConversationRecord
from ingest_assets.sources.times import at
from ingest_assets.sources.values import HASH_BYTES, checked_id, dump_json

FETCHED_APART = frozenset({"transcript", "default_summary"})
"""What an OAuth app does not get in the list."""
UNKNOWN_SPEAKER = "Unknown speaker"


def hash_of(meeting: Mapping[str, Any]) -> str:
    """Tell whether a listed meeting changed, apart from its transcript and summary."""
    listed = {key: value for key, value in meeting.items() if key not in FETCHED_APART}
    return hashlib.blake2b(dump_json(listed), digest_size=HASH_BYTES).hexdigest()


class FathomSession(ConversationRecord, table="fathom_sessions"):
    """A recorded session; `text` is its transcript, a line for each utterance."""

    shared: ClassVar = True
    indexes: ClassVar = (
        ("account_id", "created_at"),
        ("account_id", "transcript_state"),
        ("workspace_id", "occurred_at"),
    )
    telling: ClassVar = ("transcript_state",)

    created_at: datetime = Field(description="of the recording's entry at Fathom, which lists filter by")
    title: str | None
    meeting_type: str | None
    recorded_by: str | None = Field(description="whose recording it is, by mail address")
    url: str | None
    summary: str | None = Field(description="Fathom's own, in Markdown, always English")
    action_items: int = Field(description="how many there are")
    transcript_state: str = Field(description="listed, pending, ready, none or withdrawn")
    details_hash: str = Field(description="of the session without its transcript and summary")

    @classmethod
    def from_api(
        cls, account: Account, meeting: dict[str, Any], *, was: str | None, age: timedelta
    ) -> "FathomSession":
        """Parse an item of /meetings, with `transcript` and `default_summary` where they were asked for.

        `was`: its stored transcript_state; `age`: for how long we have known it.
        """
        said = _readable(meeting.get("transcript") or [])
        summary = meeting.get("default_summary") or {}
        recorded_by = meeting.get("recorded_by") or {}
        created, began = created_at(meeting), _began(meeting)
        external_id = id_of(meeting)
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=external_id,
            conversation_id=external_id,
            occurred_at=at(began) if began else created,
            text=said or None,
            raw=meeting,
            created_at=created,
            title=meeting.get("title") or meeting.get("meeting_title"),
            meeting_type=meeting.get("meeting_type"),
            recorded_by=recorded_by.get("email"),
            url=meeting.get("url"),
            summary=summary.get("markdown_formatted"),
            action_items=len(meeting.get("action_items") or ()),
            transcript_state=state_of(details=True, transcript=bool(said), was=was, age=age),
            details_hash=hash_of(meeting),
        )


def id_of(meeting: Mapping[str, Any]) -> str:
    """Give the only id there is. Raises KeyError or ValueError."""
    recording_id = meeting["recording_id"]
    number = isinstance(recording_id, int) and not isinstance(recording_id, bool)
    return checked_id(str(recording_id) if number else recording_id, "recording_id")


def created_at(meeting: Mapping[str, Any]) -> datetime:
    """Give when the recording was entered, or else when it began. Raises KeyError, TypeError or ValueError."""
    return at(meeting.get("created_at") or _began(meeting) or meeting["created_at"])


def _began(meeting: Mapping[str, Any]) -> str | None:
    return meeting.get("recording_start_time") or meeting.get("scheduled_start_time")


def _readable(transcript: Sequence[Mapping[str, Any] | None]) -> str:
    return "\n".join(
        f"{(item.get('speaker') or {}).get('display_name') or UNKNOWN_SPEAKER}: {item['text']}"
        for item in transcript
        if item is not None and item["text"] is not None
    )
