"""Workspaces come and go: Dagster's partition keys follow the registered ones."""

import os

import dagster as dg

from ingest_assets.assets.partitions import workspaces
from ingest_assets.storage.process_reports import CODE_LOCATION, report_process
from ingest_assets.storage.workspaces import workspace_ids

LOOK_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "credentials"},
    description="Keep the partition keys equal to the registered workspaces, and note which logins can be opened "
    "here. It requests no run.",
)
def workspace_keys(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Add the keys of new workspaces and delete those of removed ones."""
    engine = context.resources.database.engine()
    report_process(engine, CODE_LOCATION, context.resources.credentials.encryption_keys, os.environ)
    with engine.connect() as conn:
        wanted = workspace_ids(conn)
    known = context.instance.get_dynamic_partitions("workspaces")
    new, gone = sorted(set(wanted) - set(known)), sorted(set(known) - set(wanted))
    if not new and not gone:
        return dg.SkipReason(f"{len(wanted)} workspaces, nothing changed.")
    context.log.info("%d workspaces are new, %d were removed", len(new), len(gone))
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = [
        *([workspaces.build_add_request(new)] if new else []),
        *([workspaces.build_delete_request(gone)] if gone else []),
    ]
    return dg.SensorResult(dynamic_partitions_requests=changes)
