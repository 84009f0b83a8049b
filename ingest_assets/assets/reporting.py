"""The one place that goes beneath Dagster's public API, held by a contract test and the pinned version.

`instance.report_runless_asset_event(AssetCheckEvaluation(partition=...))` works once for a check and
partition: it stores an empty run id under a unique index of (asset, check, run, partition), and the second
report raises UniqueViolation (1.13.27, PostgreSQL storage). Under a run id of its own each report is stored.

`keep_connections` halves what a first sync of 1,000 workspaces costs (`make bench-scale ONLY=growth`).
"""

from uuid import uuid4

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance

STATEMENT_SECONDS, RECYCLE_SECONDS, MORE_CONNECTIONS = 60, 3600, 4
JOB = "health"  # shown where Dagster names the job of an event


def keep_connections(instance: DagsterInstance) -> None:
    """Let a process that writes many events keep its connections, as Dagster's web server does.

    Otherwise PostgreSQL is connected to anew for every event, which costs it more than the event.
    """
    instance.optimize_for_webserver(
        statement_timeout=STATEMENT_SECONDS * 1000,
        pool_recycle=RECYCLE_SECONDS,
        max_overflow=MORE_CONNECTIONS,
    )


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
