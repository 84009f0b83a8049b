"""`dg`, Dagster's command line, on this project: what docs/operating/dagster.md says it does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingest_assets.cli.processes import dagster_environment
from tests.workbench import Bench

REPOSITORY = Path(__file__).parent.parent.parent
DG = Path(sys.executable).parent / "dg"
REGISTER = """
import sys, dagster
from ingest_assets.assets.partitions import register
register(dagster.DagsterInstance.get(), sys.argv[1:])
"""


def require_shown(command: str, printed: str) -> None:
    """Require that a command printed what the page shows of it, where `...` stands for anything."""
    block = (REPOSITORY / "docs/operating/dagster.md").read_text().partition(f"$ {command}")[2]
    shown = [line for line in block.partition("\n```")[0].partition("\n$ ")[0].splitlines()[1:] if line != "..."]
    assert shown
    for line in shown:
        pattern = ".*".join(re.escape(part) for part in line.split("..."))
        assert re.search(pattern, printed), line


class TestDg:
    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(REPOSITORY)

    @pytest.fixture
    def environ(self, bench: Bench, tmp_path: Path) -> dict[str, str]:
        return dagster_environment(bench.database_url, tmp_path / "dagster", {**bench.environ, "COLUMNS": "200"})

    def dg(self, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [DG, *arguments],
            env=environ,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def register(self, environ: dict[str, str], key: str) -> None:
        """Do what the sensor `workspace_keys` of a running daemon does."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "ignore", "-c", REGISTER, key],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_lists_what_the_documentation_shows(self, environ: dict[str, str]) -> None:
        done = self.dg(environ, "list", "defs", "--assets", "group:slack", "--columns", "key,deps")
        assert (done.returncode, done.stderr) == (0, "")
        require_shown("dg list defs", done.stdout)

    def test_launches_a_partition_as_the_documentation_shows(self, bench: Bench, environ: dict[str, str]) -> None:
        acme = bench.workspace("acme", "general")
        acme.say_many("general", 3)
        self.register(environ, "acme")
        done = self.dg(environ, "launch", "--assets", "raw/slack_messages", "--partition", "acme")
        assert done.returncode == 0, done.stderr
        require_shown("dg launch", done.stderr)
        assert len(acme.living) == 3

    def test_a_launch_that_fails_ends_with_an_error(self, bench: Bench, environ: dict[str, str]) -> None:
        acme = bench.workspace("acme", "general")
        bench.order("slack/token", team=acme.team, revoked=True)
        self.register(environ, "acme")
        done = self.dg(environ, "launch", "--assets", "raw/slack_messages", "--partition", "acme")
        assert done.returncode == 1
        assert "token_revoked" in done.stderr
        assert acme.token not in done.stdout + done.stderr
