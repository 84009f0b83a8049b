"""A workspace is a partition, the same for every source."""

from collections.abc import Iterable, Sequence

import dagster as dg
from sqlalchemy import Engine

from ingest_assets.errors import NO_WORKSPACE
from ingest_assets.storage.workspaces import unknown_workspaces

STARTED_BY_ITSELF = frozenset({"dagster/sensor_name", "dagster/schedule_name"})  # tags

workspaces = dg.DynamicPartitionsDefinition(name="workspaces")


def register(instance: dg.DagsterInstance, keys: Iterable[str]) -> None:
    """Add the partition keys that are missing."""
    known = set(instance.get_dynamic_partitions("workspaces"))
    if missing := [key for key in keys if key not in known]:
        instance.add_dynamic_partitions("workspaces", missing)


def told_apart(
    context: dg.AssetExecutionContext, engine: Engine, asked: Sequence[str], source: str
) -> tuple[list[str], list[str]]:
    """Return the workspaces to read of those that a run asks for, and a sentence for each that there is none of.

    A run that a schedule or sensor started may meet one that was removed since: there is nothing to be said.
    """
    with engine.connect() as conn:
        unknown = unknown_workspaces(conn, asked)
    keys = [key for key in asked if key not in set(unknown)]
    by_itself = not STARTED_BY_ITSELF.isdisjoint(context.run.tags)
    return keys, [] if by_itself else [NO_WORKSPACE.format(name, source) for name in unknown]
