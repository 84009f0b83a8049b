"""Sentences about a workspace that nobody knows: with the one that may have been meant."""

from sqlalchemy import Connection

from ingest_assets.errors import NO_WORKSPACE, IngestError, did_you_mean
from ingest_assets.storage.workspaces import workspace_ids


def unknown_workspace(conn: Connection, name: str, source: str | None = None) -> IngestError:
    """Return the error for a workspace that is none of ours; `source`: which one to connect it by."""
    return IngestError(NO_WORKSPACE.format(name, source or "slack") + did_you_mean(name, workspace_ids(conn)))
