"""kill -9 at each commit of each operation of each source: nothing is lost, nothing is left over."""

from __future__ import annotations

import subprocess

import pytest

from tests.proof.matrix import Matrix
from tests.proof.operations import OPERATIONS
from tests.workbench import Bench


@pytest.mark.parametrize(
    ("operation", "source"), [(name, source) for name, one in OPERATIONS.items() for source in one.sources]
)
def test_a_kill_at_any_commit_changes_nothing_in_the_end(
    bench: Bench, process: subprocess.Popen[str], operation: str, source: str
) -> None:
    outcome = Matrix(bench, process, operation, source).run(whole=False)
    assert not outcome.faults, "\n".join(outcome.faults)
    assert outcome.kills == outcome.commits + 1 > 2
    assert outcome.most_calls <= 2 * outcome.calls + 2
