"""Workspaces in any state, put into the tables as a sync leaves them; time is what a test says it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, text

from ingest_assets.incidents.look import look
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.settings import CoreSettings

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Crowd:
    """A database of accounts that a test changes."""

    engine: Engine
    now: datetime = NOON
    receivers: list[str] = field(default_factory=lambda: ["webhook"])
    alerts: AlertSettings = field(default_factory=AlertSettings)
    core: CoreSettings = field(default_factory=CoreSettings)

    def sql(self, statement: str, **params: Any) -> None:
        with self.engine.begin() as conn:
            conn.execute(text(statement), {"now": self.now, **params} if ":now" in statement else params)

    def rows(self, statement: str, **params: Any) -> list[Row[Any]]:
        with self.engine.connect() as conn:
            return list(conn.execute(text(statement), params).all())

    def join(self, *names: str, source: str = "slack") -> None:
        """Connect workspaces that were read just now."""
        self.sql(
            "insert into ingest.workspaces (workspace_id) select unnest(cast(:names as text[]))"
            " on conflict do nothing",
            names=list(names),
        )
        self.sql(
            "insert into ingest.accounts (workspace_id, source, name, external_id, credential, settings,"
            " created_at, state_since, last_success_at, last_sync_at)"
            " select name, :source, name, name, '{}', '{}', :now, :now, :now, :now"
            " from unnest(cast(:names as text[])) as name",
            names=list(names),
            source=source,
        )

    def fails(self, *names: str, kind: str = "transient", state: str = "active") -> None:
        """End a sync of each workspace with a failure."""
        self.sql(
            "update ingest.accounts set error_kind = :kind, error_since = coalesce(error_since, :now),"
            " attempts = attempts + 1, state = :state, state_since = :now, due_at = :now, last_sync_at = :now"
            " where workspace_id = any(:names)",
            names=list(names),
            kind=kind,
            state=state,
        )

    def reads(self, *names: str) -> None:
        """End a sync of each workspace well; of all without names."""
        self.sql(
            "update ingest.accounts set error_kind = null, error_since = null, attempts = 0, state = 'active',"
            " state_since = :now, due_at = null, last_success_at = :now, last_sync_at = :now, lease_owner = null,"
            " lease_until = null where workspace_id = any(:names) or cardinality(cast(:names as text[])) = 0",
            names=list(names),
        )

    def passes(self, minutes: float = 1, *, watched: bool = True) -> None:
        """Let time go by, with a look each minute."""
        if watched:
            for _ in range(int(minutes)):
                self.now += MINUTE
                self.look()
        else:
            self.now += minutes * MINUTE

    def look(self) -> Row[Any]:
        return look(self.engine, self.core, self.alerts, self.now, self.receivers)

    def open(self) -> dict[tuple[str, str], int]:
        """The incidents that are open: (cause, subject) -> how many workspaces each touches."""
        rows = self.rows(
            "select cause, subject, cardinality(workspaces) as size from ingest.incidents"
            " where opened_at is not null and closed_at is null"
        )
        return {(row.cause, row.subject): row.size for row in rows}

    def told(self) -> list[tuple[str, str, int]]:
        """The messages that were written, dropped ones left out: (cause, kind, level)."""
        rows = self.rows(
            "select cause, kind, m.level from ingest.incident_messages m join ingest.incidents using (incident_id)"
            " where dropped_at is null order by message_id"
        )
        return [(row.cause, row.kind, row.level) for row in rows]

    def sends(self) -> None:
        """Have every receiver accept what waits for it."""
        self.sql(
            "update ingest.incident_messages set attempts = attempts + 1, sent_at = :now where sent_at is null"
        )
