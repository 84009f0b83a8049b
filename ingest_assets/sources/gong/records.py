"""What we keep of Gong: calls with their transcripts, and the users and workspaces they name."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from ingest_assets.sources.gong.transcript import stretches_of
from ingest_assets.sources.json_values import Json, JsonView, flag_of, text_of, whole_of
from ingest_assets.sources.login import Account
from ingest_assets.sources.personal import Entries, Personal
from ingest_assets.sources.record import ConversationRecord, Record, SetAside, account_of
from ingest_assets.sources.times import first_time
from ingest_assets.sources.transcript import written
from ingest_assets.sources.transcript_state import state_of
from ingest_assets.sources.values import HASH_BYTES, dump_json
from ingest_assets.storage.schema import StoredRow

SIGNED = "media"  # URLs that are signed anew for every request


def lasting(call: JsonView) -> Json:
    """Return what two requests for an unchanged call have in common."""
    return {key: value for key, value in call.items() if key != SIGNED}


def hash_of(call: JsonView) -> str:
    return hashlib.blake2b(dump_json(lasting(call)), digest_size=HASH_BYTES).hexdigest()


def moment_of(facts: JsonView) -> datetime:
    """Return a call's start, or else when it was to start. Raises KeyError, TypeError or ValueError."""
    return first_time(facts.get("started"), facts.get("scheduled"))


class GongCall(ConversationRecord, table="gong_calls"):
    """A recorded call; `text` is its transcript, a paragraph for each turn of a speaker."""

    indexes: ClassVar = (
        ("account_id", "occurred_at"),
        ("account_id", "transcript_state"),
        ("workspace_id", "occurred_at"),
    )

    telling: ClassVar = ("transcript_state",)
    kept: ClassVar = frozenset({"transcript_state", "details_hash"})  # what the next look is compared with
    personal: ClassVar = Personal(
        entries=(
            Entries("parties", ("emailAddress", "userId"), ("speakerId", "name")),
            Entries("transcript", called=("speakerId",)),
            Entries("interaction.speakers", ("userId",), ("id",)),
            Entries("interaction.personInteractionStats", ("userId",), ("id",)),
            Entries("collaboration.publicComments", ("commenterUserId",)),
        ),
        clears=("text", "title", "primary_user_id"),
    )

    loose: ClassVar = frozenset({"transcript_state"})  # changes with the time

    title: str | None = Field(description="of the call")
    duration_seconds: int | None = Field(description="of the recording")
    direction: str | None = Field(description="Inbound, Outbound, Conference or Unknown")
    scope: str | None = Field(description="Internal, External or Unknown, as Gong judges the parties")
    is_private: bool | None = Field(description="whether Gong shows it to its participants only")
    primary_user_id: str | None = Field(description="the host, an external_id of raw.gong_users")
    gong_workspace_id: str | None = Field(description="an external_id of raw.gong_workspaces")
    transcript_state: str = Field(description="listed, pending, ready, none or withdrawn")
    details_hash: str = Field(description="of the call without its transcript")

    @classmethod
    def from_api(
        cls,
        account: Account,
        call: Json,
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
        said = written(stretches_of(transcript, parties))
        external_id = facts["id"]
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=external_id,
            conversation_id=external_id,
            occurred_at=moment_of(facts),
            text=said,
            raw=lasting(call) if transcript is None else lasting(call) | {"transcript": transcript},
            title=text_of(facts.get("title")),
            duration_seconds=whole_of(facts.get("duration")),
            direction=text_of(facts.get("direction")),
            scope=text_of(facts.get("scope")),
            is_private=flag_of(facts.get("isPrivate")),
            primary_user_id=text_of(facts.get("primaryUserId")),
            gong_workspace_id=text_of(facts.get("workspaceId")),
            transcript_state=state_of(details=parties is not None, transcript=said is not None, was=was, age=age),
            details_hash=hash_of(call),
        )

    @classmethod
    def rederive(cls, row: StoredRow, _beside: None) -> "GongCall":
        call = {key: value for key, value in row.raw.items() if key != "transcript"}
        transcript, was = row.raw.get("transcript"), row.transcript_state
        return cls.from_api(account_of(row), call, transcript, was=was, age=timedelta(0))

    @classmethod
    def replay(cls, item: SetAside, payload: Json) -> "GongCall":
        """Parse a call; its transcript is the stored one, or the next sync asks for it."""
        stored = item.stored
        transcript = None if stored is None else stored.raw.get("transcript")
        was = None if stored is None else stored.transcript_state
        return cls.from_api(item.account, payload, transcript, was=was, age=timedelta(0))


class GongUser(Record, table="gong_users"):
    """A person of the company that uses Gong."""

    name: str | None = Field(description="first and last name")
    email: str | None = Field(description="the mail address")
    is_active: bool | None = Field(description="whether the user may log in")

    personal: ClassVar = Personal(
        owner=("external_id", "email"),
        keeps=frozenset({"id", "active"}),
        clears=("name", "email"),
        also_called=("external_id",),
    )

    @classmethod
    def from_api(cls, account: Account, user: Json) -> "GongUser":
        name = " ".join(part for key in ("firstName", "lastName") if (part := text_of(user.get(key))))
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=user["id"],
            raw=user,
            name=name or None,
            email=text_of(user.get("emailAddress")),
            is_active=flag_of(user.get("active")),
        )


class GongWorkspace(Record, table="gong_workspaces"):
    """A part of the company, as Gong's administrators divided it."""

    name: str | None = Field(description="of the part")

    @classmethod
    def from_api(cls, account: Account, workspace: Json) -> "GongWorkspace":
        return cls(
            workspace_id=account.workspace_id,
            account_id=account.account_id,
            external_id=workspace["id"],
            raw=workspace,
            name=text_of(workspace.get("name")),
        )
