"""Extract features, workspace by workspace.

Reading order: workspace (ledger, failing, stop), conversation, client (request, refusals), answer, findings,
evidence.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, timedelta

from sqlalchemy import Engine

from ingest_assets.features.featured import Featured
from ingest_assets.features.ledger import Ledger
from ingest_assets.features.report import NO_KEY, SKIPPED, Report
from ingest_assets.features.request import Endpoint
from ingest_assets.features.settings import ModelSettings
from ingest_assets.features.workspace import Workspace
from ingest_assets.sources.login import Clock
from ingest_assets.storage.features import forget_gone
from ingest_assets.storage.leases import lease
from ingest_assets.storage.workspaces import features_paused

LEASE = timedelta(seconds=120)  # as INGEST_LEASE_SECONDS by default
BUSY = (
    "another run is reading this workspace's conversations; if it was killed, its lease ends at "
    "{:%Y-%m-%d %H:%M:%S} UTC"
)

PAUSED = "paused since {:%Y-%m-%d %H:%M} UTC; `ingest-assets resume features --workspace {}` lets it go on"


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """What the extractions of a process share."""

    engine: Engine
    settings: ModelSettings
    owner: str
    clock: Clock = field(default_factory=Clock)
    lease_length: timedelta = LEASE
    """How long an extraction that died keeps its workspace. A living one renews."""
    endpoint: Endpoint = field(default_factory=Endpoint)
    """What was learned about the model at its address."""
    reports: list[Report] = field(default_factory=list)
    """Of its workspaces, the last one as it is while it is being read."""

    def run(self, kind: Featured, workspace_id: str) -> Report:
        """Extract what is pending in a workspace. Raises OperationalError when the database went away."""
        with self.engine.begin() as conn:  # with or without a model: nobody may read on what was deleted
            forgotten = forget_gone(conn, kind.records, kind.table, workspace_id)
            paused = features_paused(conn).get(workspace_id)
        if self.settings.api_key is None:
            return Report(workspace_id, SKIPPED, NO_KEY, forgotten=forgotten)
        if paused is not None:
            reason = PAUSED.format(paused.astimezone(UTC), workspace_id)
            return Report(workspace_id, SKIPPED, reason, forgotten=forgotten)
        name = f"{kind.table.fullname} {workspace_id}"
        with lease(self.engine, name, owner=self.owner, length=self.lease_length) as held:
            if not held.taken:
                reason = BUSY.format(held.until.astimezone(UTC))
                return Report(workspace_id, SKIPPED, reason, forgotten=forgotten)
            ledger = Ledger(
                engine=self.engine,
                kind=kind,
                workspace_id=workspace_id,
                settings=self.settings,
                owner=self.owner,
                clock=self.clock,
            )
            workspace = Workspace(ledger, lease=held, endpoint=self.endpoint)
            self.reports.append(workspace.report)
            report = asyncio.run(workspace.run())
        report.forgotten = forgotten
        return report
