"""Why nothing more is asked in a run: of what the model answered, and what the budget allows."""

from datetime import datetime, timedelta
from typing import NamedTuple

from ingest_assets.features.budget import BudgetSpent
from ingest_assets.features.client import STOP_PAUSE, ModelBusy, ModelStopped, Unanswered
from ingest_assets.features.report import BUDGET_SPENT, FAILED, MODEL_DOWN, MODEL_REFUSED, PARTIAL, QUOTA_SPENT

FIRST_WAIT = timedelta(minutes=1)  # of a workspace in which nothing was answered
STOPPING = (ModelBusy, ModelStopped, BudgetSpent)
"""What ends a run, whichever conversation meets it."""


class Stop(NamedTuple):
    """Why nothing more is asked in a run."""

    status: str
    reason: str
    until: datetime
    """When to go on."""
    outcome: str
    """As `features.model_requests` keeps it."""


def stop_of(error: ModelBusy | ModelStopped | BudgetSpent | Unanswered, now: datetime) -> Stop:
    """Return what an error of the model or of the budget means for the run that meets it."""
    reason = str(error)
    if isinstance(error, BudgetSpent):
        return Stop(PARTIAL, reason, error.until, BUDGET_SPENT)
    if isinstance(error, ModelBusy):
        return Stop(PARTIAL, reason, error.until, MODEL_DOWN)
    if isinstance(error, ModelStopped):
        return Stop(FAILED, reason, now + STOP_PAUSE, QUOTA_SPENT if error.quota else MODEL_REFUSED)
    if error.refused:
        return Stop(FAILED, reason, now + STOP_PAUSE, MODEL_REFUSED)
    return Stop(PARTIAL, reason, now + FIRST_WAIT, MODEL_DOWN)
