"""What an extraction reads and writes of one workspace: each call a transaction of its own, in a thread."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from ingest_assets.features import prompt
from ingest_assets.features.answer import Usage
from ingest_assets.features.budget import Budget, dollars
from ingest_assets.features.featured import Featured
from ingest_assets.features.model import digest
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.login import Clock
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.transcript import Transcript
from ingest_assets.storage.features import (
    count_postponed,
    hold_conversation,
    load_conversation,
    pending_conversations,
    save_features,
    stored_features,
)
from ingest_assets.storage.model_requests import save_request
from ingest_assets.storage.schema import Columns, StoredRow


@dataclass(frozen=True)
class Stored:
    """A conversation as it is stored, and what became of it in earlier runs."""

    row: StoredRow
    before: StoredRow | None
    transcript: Transcript | None
    """None: the stored transcript does not have the form that the vendor documents."""
    lines: Sequence[str] = ()
    key: str = ""
    """Tells this transcript and this question from every other."""

    @property
    def known(self) -> bool:
        """Whether the same question about the same transcript was answered before."""
        return self.before is not None and bool(self.key) and self.before.transcript_key == self.key

    def tried(self, version: str) -> tuple[int, int]:
        """Return in how many runs in a row an answer could not be used, or none came, for this very question."""
        before = self.before
        if before is None or (before.version, before.record_hash) != (version, self.row.content_hash):
            return 0, 0
        return before.attempts, before.failures


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """One workspace's conversations at one source, their features, and the requests made for them."""

    engine: Engine
    kind: Featured
    workspace_id: str
    settings: ModelSettings
    owner: str
    clock: Clock

    @property
    def version(self) -> str:
        return prompt.version(self.settings.model)

    def budget(self) -> Budget:
        """Return what may be spent, after what this day's runs have spent."""
        return Budget.load(self.settings, self.engine, self.workspace_id, self.clock.now())

    def pending(self) -> tuple[list[str], int]:
        """Return the conversations to be read, newest first, and the number of those whose pause is not over."""
        now, table = self.clock.now(), self.kind.table
        with self.engine.connect() as conn:
            return (
                pending_conversations(conn, self.kind.records, table, self.version, self.workspace_id, now),
                count_postponed(conn, table, self.version, self.workspace_id, now),
            )

    async def load(self, external_id: str) -> Stored | None:
        """Return a conversation; None where it has gone meanwhile."""
        return await asyncio.to_thread(self.load_now, external_id)

    def load_now(self, external_id: str) -> Stored | None:
        """Return the same, in this thread."""
        with self.engine.connect() as conn:
            row = load_conversation(conn, self.kind.records, self.workspace_id, external_id)
            before = stored_features(conn, self.kind.table, self.workspace_id, external_id)
        if row is None:
            return None
        try:
            transcript = self.kind.transcript(row.raw)
        except UNPARSEABLE:
            return Stored(row, before, None)
        lines = prompt.written(transcript)
        question = prompt.question(self.settings.model)
        return Stored(row, before, transcript, lines, digest(question, transcript.title, *lines))

    async def save(self, values: Columns) -> None:
        """Write columns of a conversation's row of features, unless it has changed since: it is read again then.

        So nothing is stored of what was said by somebody who was erased while the model was answering.
        """

        def write() -> None:
            with self.engine.begin() as conn:
                if hold_conversation(conn, self.kind.records, values):
                    save_features(conn, self.kind.table, values)

        await asyncio.to_thread(write)

    async def note(
        self, external_id: str | None, outcome: str, usage: Usage, wait_until: datetime | None = None
    ) -> float:
        """Keep what a request came to, and return its price in US dollars."""
        cost = dollars(self.settings, usage)
        values = {
            "workspace_id": self.workspace_id,
            "source": self.kind.source.name,
            "external_id": external_id,
            "owner": self.owner,
            "outcome": outcome,
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "dollars": cost,
            "made_at": self.clock.now(),
            "wait_until": wait_until,
        }

        def write() -> None:
            with self.engine.begin() as conn:
                save_request(conn, values)

        await asyncio.to_thread(write)
        return float(cost)
