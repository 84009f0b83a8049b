"""A place that goes beneath Dagster's public API, held by a contract test and the pinned version.

`instance.report_runless_asset_event(AssetCheckEvaluation(partition=...))` works once for a check and
partition: it stores an empty run id under a unique index of (asset, check, run, partition), and the second
report raises UniqueViolation (1.13.27, PostgreSQL storage). Under a run id of its own each report is stored.
"""

from uuid import uuid4

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance

JOB = "health"  # shown where Dagster names the job of an event


def report_check(instance: DagsterInstance, evaluation: dg.AssetCheckEvaluation, *, run_id: str | None) -> None:
    """Report a check of one partition, from inside a run or (`run_id` None) outside any."""
    instance.report_dagster_event(
        DagsterEvent(
            event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
            event_specific_data=evaluation,
            job_name=JOB,
        ),
        run_id=run_id or str(uuid4()),
    )
