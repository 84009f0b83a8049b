"""What a sync means for its account."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest_assets.errors import CredentialRejected, DoubtfulRejection, SourceError
from ingest_assets.sources.login import Account
from ingest_assets.sync.result import BELIEVED, FAILED, SyncResult, next_state

NOW = datetime(2026, 11, 26, 14, 41, tzinfo=UTC)
ANN = Account(account_id=1, workspace_id="acme", name="ann@acme.com", external_id="ann@acme.com", settings={})


def state_after(error: SourceError, attempts: int) -> dict[str, object]:
    result = SyncResult(account=ANN, status=FAILED, error=error)
    return next_state(result, attempts=attempts, started_at=NOW, now=NOW)


def test_a_refused_login_needs_a_person_at_once() -> None:
    assert state_after(CredentialRejected("token_revoked"), 0)["state"] == "needs_reconnect"


@pytest.mark.parametrize(
    ("failed_before", "state"), [(0, "active"), (BELIEVED - 2, "active"), (BELIEVED - 1, "needs_reconnect")]
)
def test_a_refusal_that_passing_faults_look_like_is_believed_when_it_lasts(failed_before: int, state: str) -> None:
    after = state_after(DoubtfulRejection("failedPrecondition"), failed_before)
    assert after["state"] == state
    assert (after["due_at"] is None) == (state == "needs_reconnect")
