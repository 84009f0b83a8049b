"""What we keep of Fathom: sessions with what was said in them."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from ingest_assets.sources.fathom.transcript import recorder_of, stretches_of, title_of
from ingest_assets.sources.json_values import Json, JsonView, list_of, text_of
from ingest_assets.sources.login import Account
from ingest_assets.sources.personal import Entries, Personal
from ingest_assets.sources.record import ConversationRecord, SetAside, account_of
from ingest_assets.sources.times import first_time
from ingest_assets.sources.transcript import written
from ingest_assets.sources.transcript_state import state_of
from ingest_assets.sources.values import HASH_BYTES, checked_id, dump_json
from ingest_assets.storage.schema import StoredRow

FETCHED_APART = frozenset({"transcript", "default_summary"})
"""What an OAuth app does not get in the list."""


def hash_of(meeting: JsonView) -> str:
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
    kept: ClassVar = frozenset({"transcript_state", "details_hash"})  # what the next look is compared with
    personal: ClassVar = Personal(
        entries=(
            Entries("calendar_invitees", ("email",), ("name", "matched_speaker_display_name")),
            Entries("recorded_by", ("email",), ("name",)),
            Entries(
                "transcript", ("speaker.matched_calendar_invitee_email",), ("speaker.display_name", "speaker")
            ),
            Entries("action_items", ("assignee.email",), ("assignee.name",)),
            Entries("crm_matches.contacts", ("email",), ("name",)),
        ),
        clears=("text", "title", "recorded_by", "summary"),
    )

    loose: ClassVar = frozenset({"transcript_state"})  # changes with the time

    created_at: datetime = Field(description="of the recording's entry at Fathom, which lists filter by")
    title: str | None = Field(description="of the session, else of the calendar's event")
    meeting_type: str | None = Field(description="as Fathom names it")
    recorded_by: str | None = Field(description="whose recording it is, by mail address")
    url: str | None = Field(description="where Fathom shows the session")
    summary: str | None = Field(description="Fathom's own, in Markdown, always English")
    action_items: int = Field(description="how many there are")
    transcript_state: str = Field(description="listed, pending, ready, none or withdrawn")
    details_hash: str = Field(description="of the session without its transcript and summary")

    @classmethod
    def from_api(cls, account: Account, meeting: Json, *, was: str | None, age: timedelta) -> "FathomSession":
        """Parse an item of /meetings, with `transcript` and `default_summary` where they were asked for.

        `was`: its stored transcript_state; `age`: for how long we have known it.
        """
        said = written(stretches_of(meeting))
        created, external_id = created_at(meeting), id_of(meeting)
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=external_id,
            conversation_id=external_id,
            occurred_at=first_time(*_began(meeting), created.isoformat(), assumed=UTC),
            text=said,
            raw=meeting,
            created_at=created,
            title=title_of(meeting),
            meeting_type=text_of(meeting.get("meeting_type")),
            recorded_by=recorder_of(meeting),
            url=text_of(meeting.get("url")),
            summary=_summary_of(meeting.get("default_summary")),
            action_items=len(list_of(meeting.get("action_items"))),
            transcript_state=state_of(details=True, transcript=said is not None, was=was, age=age),
            details_hash=hash_of(meeting),
        )

    @classmethod
    def rederive(cls, row: StoredRow, _beside: None) -> "FathomSession":
        return cls.from_api(account_of(row), row.raw, was=row.transcript_state, age=timedelta(0))

    @classmethod
    def replay(cls, item: SetAside, payload: Json) -> "FathomSession":
        was = None if item.stored is None else item.stored.transcript_state
        return cls.from_api(item.account, payload, was=was, age=timedelta(0))


def id_of(meeting: JsonView) -> str:
    """Return the only id there is. Raises KeyError or ValueError."""
    recording_id = meeting["recording_id"]
    number = isinstance(recording_id, int) and not isinstance(recording_id, bool)
    return checked_id(str(recording_id) if number else recording_id, "recording_id")


def created_at(meeting: JsonView) -> datetime:
    """Return when the recording was entered, or else when it began. Raises ValueError."""
    return first_time(meeting.get("created_at"), *_began(meeting), assumed=UTC)


def _began(meeting: JsonView) -> tuple[Any, Any]:
    return meeting.get("recording_start_time"), meeting.get("scheduled_start_time")


def _summary_of(summary: object) -> str | None:
    return text_of(summary.get("markdown_formatted")) if isinstance(summary, dict) else text_of(summary)
