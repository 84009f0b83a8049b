"""A workspace is a partition, the same for every source."""

from collections.abc import Iterable

import dagster as dg

workspaces = dg.DynamicPartitionsDefinition(name="workspaces")


def register(instance: dg.DagsterInstance, keys: Iterable[str]) -> None:
    """Add the partition keys that are missing."""
    known = set(instance.get_dynamic_partitions("workspaces"))
    if missing := [key for key in keys if key not in known]:
        instance.add_dynamic_partitions("workspaces", missing)
