"""What we keep of Gong: calls with their transcripts, and the users and workspaces they name."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from ingest_assets.sources.login import Account
from ingest_assets.sources.readiness import state_of
from ingest_assets.sources.record import ConversationRecord, Record
from ingest_assets.sources.times import at
from ingest_assets.sources.values import HASH_BYTES, dump_json

SIGNED = "media"  # URLs that are signed anew for every request
UNKNOWN_SPEAKER = "Unknown speaker"


def lasting(call: Mapping[str, Any]) -> dict[str, Any]:
    """Give what two requests for an unchanged call have in common."""
    return {key: value for key, value in call.items() if key != SIGNED}


def hash_of(call: Mapping[str, Any]) -> str:
    return hashlib.blake2b(dump_json(lasting(call)), digest_size=HASH_BYTES).hexdigest()


def moment_of(facts: Mapping[str, Any]) -> datetime:
    """Give a call's start, or else when it was to start. Raises KeyError, TypeError or ValueError."""
    return at(facts.get("started") or facts["scheduled"])


class GongCall(ConversationRecord, table="gong_calls"):
    """A recorded call; `text` is its transcript, a paragraph for each turn of a speaker."""

    indexes: ClassVar = (
        ("account_id", "occurred_at"),
        ("account_id", "transcript_state"),
        ("workspace_id", "occurred_at"),
    )

    telling: ClassVar = ("transcript_state",)

    title: str | None
    duration_seconds: int | None
    direction: str | None
    scope: str | None = Field(description="Internal, External or Unknown, as Gong judges the parties")
    is_private: bool | None
    primary_user_id: str | None
    gong_workspace_id: str | None
    transcript_state: str = Field(description="listed, pending, ready, none or withdrawn")
    details_hash: str = Field(description="of the call without its transcript")

    @classmethod
    def from_api(
        cls,
        account: Account,
        call: dict[str, Any],
        transcript: Sequence[Any] | None,
        *,
        was: str | None,
        age: timedelta,
    ) -> "GongCall":
        """Parse an item of /v2/calls/extensive and the same call's monologues, if there are any yet.

        `was`: its stored transcript_state; `age`: for how long we have known it.
        """
        facts = call["metaData"]
        parties = call.get("parties")
        duration = facts.get("duration")
        said = _readable(transcript or [], parties or [])
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=facts["id"],
            conversation_id=facts["id"],
            occurred_at=moment_of(facts),
            text=said or None,
            raw=lasting(call) if transcript is None else lasting(call) | {"transcript": transcript},
            title=facts.get("title"),
            duration_seconds=None if duration is None else int(duration),
            direction=facts.get("direction"),
            scope=facts.get("scope"),
            is_private=facts.get("isPrivate"),
            primary_user_id=facts.get("primaryUserId"),
            gong_workspace_id=facts.get("workspaceId"),
            transcript_state=state_of(details=parties is not None, transcript=bool(said), was=was, age=age),
            details_hash=hash_of(call),
        )


def _readable(transcript: Sequence[Any], parties: Sequence[Any]) -> str:
    names = {
        party["speakerId"]: party.get("name") or party.get("emailAddress") or UNKNOWN_SPEAKER
        for party in parties
        if party.get("speakerId")
    }
    return "\n".join(
        f"{names.get(turn.get('speakerId'), UNKNOWN_SPEAKER)}: {' '.join(said)}"
        for turn in transcript
        if turn and (said := [sentence["text"] for sentence in turn["sentences"] or () if _is_said(sentence)])
    )


def _is_said(sentence: Mapping[str, Any] | None) -> bool:
    return sentence is not None and sentence["text"] is not None


class GongUser(Record, table="gong_users"):
    """A person of the company that uses Gong."""

    name: str | None
    email: str | None
    is_active: bool | None

    @classmethod
    def from_api(cls, account: Account, user: dict[str, Any]) -> "GongUser":
        name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=user["id"],
            raw=user,
            name=name or None,
            email=user.get("emailAddress"),
            is_active=user.get("active"),
        )


class GongWorkspace(Record, table="gong_workspaces"):
    """A part of the company, as Gong's administrators divided it."""

    name: str | None

    @classmethod
    def from_api(cls, account: Account, workspace: dict[str, Any]) -> "GongWorkspace":
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=workspace["id"],
            raw=workspace,
            name=workspace.get("name"),
        )
