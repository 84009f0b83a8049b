"""A place that goes beneath Dagster's public API, held by a contract test and the pinned version (1.13.27).

`instance.report_runless_asset_event(AssetCheckEvaluation(partition=...))` works once for a check and
partition: it stores an empty run id under a unique index of (asset, check, run, partition), and the second
report raises UniqueViolation (PostgreSQL storage). Under a run id of its own each report is stored.

A second report of a run replaces its first one, in its place: what pages show as the latest is the report whose
row was made last. A page shows it only while it is about the newest materialization, of the partition or of the
asset (`AssetCheckExecutionRecord.targets_latest_materialization`, `AssetCheckPartitionInfo.is_current`); an
evaluation names the one that it is about, or it is hidden by any.
"""

from collections.abc import Collection, Mapping
from uuid import uuid4

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

OTHERS = "others"  # in the metadata of a check of all workspaces: those that fail it
JOB = "health"  # shown where Dagster names the job of an event


def report_check(instance: DagsterInstance, evaluation: dg.AssetCheckEvaluation, *, run_id: str | None) -> None:
    """Report a check, as part of a run or (`run_id` None) of none."""
    instance.report_dagster_event(
        DagsterEvent(
            event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
            event_specific_data=evaluation,
            job_name=JOB,
        ),
        run_id=run_id or str(uuid4()),
    )


def targets(instance: DagsterInstance, asset: dg.AssetKey, keys: Collection[str]) -> Mapping[str, Target]:
    """Return the newest materialization of each partition that has one."""
    if not keys:
        return {}
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, DagsterEventType.ASSET_MATERIALIZATION, set(keys)
    )
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(ids.values()))
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    return {record.partition_key: _target(record) for record in records if record.partition_key is not None}


def target(instance: DagsterInstance, asset: dg.AssetKey) -> Target | None:
    """Return the newest materialization of any partition."""
    records = instance.fetch_materializations(asset, limit=1).records
    return _target(records[0]) if records else None


def _target(record: dg.EventLogRecord) -> Target:
    return Target(storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp)


def hidden(instance: DagsterInstance, check: dg.AssetCheckKey, passed: Mapping[str, bool]) -> list[str]:
    """Return the partitions of which pages do not show the report that was just made.

    A run reports in place of its plan: whatever another process reported since the run was launched is newer.
    """
    infos = instance.event_log_storage.get_asset_check_partition_info([check], partition_keys=list(passed))
    as_reported = {True: Status.SUCCEEDED, False: Status.FAILED}
    return [
        info.partition_key
        for info in infos
        if info.partition_key is not None
        and info.latest_execution_status != Status.PLANNED  # of another run, which will report
        and (not info.is_current or info.latest_execution_status != as_reported[passed[info.partition_key]])
    ]


def settle(instance: DagsterInstance, evaluation: dg.AssetCheckEvaluation) -> bool:
    """Let pages show a check as it is; return whether that took a report."""
    shown = Shown(instance, evaluation.asset_check_key)
    if shown.evaluation is not None and _says(shown.evaluation) == _says(evaluation):
        return False
    report_check(instance, evaluation, run_id=shown.in_run)
    return True


def _says(evaluation: dg.AssetCheckEvaluation) -> tuple[object, ...]:
    return evaluation.passed, evaluation.description, evaluation.metadata.get(OTHERS)


class Shown:
    """What pages show of a check as a whole: the report that was made last, unless a materialization hides it."""

    def __init__(self, instance: DagsterInstance, check: dg.AssetCheckKey) -> None:
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
        record = records.get(check)
        self.evaluation: dg.AssetCheckEvaluation | None = None
        """None where no report is shown."""
        self.in_run: str | None = None
        """The run whose report stays shown while it goes on to materialize."""
        evaluation = record.evaluation if record is not None else None
        if record is None or not isinstance(evaluation, dg.AssetCheckEvaluation):
            return  # never evaluated, or only planned
        if record.partition is None:
            newest = target(instance, check.asset_key)
        else:
            newest = targets(instance, check.asset_key, [record.partition]).get(record.partition)
        about = evaluation.target_materialization_data
        if newest is not None and newest.run_id == record.run_id:
            self.in_run = record.run_id
        elif newest is not None and (about is None or about.storage_id != newest.storage_id):
            return
        self.evaluation = evaluation
