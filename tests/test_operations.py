"""Who did what, and when; and what is stopped and started, of one account, a source, or the language model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.storage.operations import operations
from tests.features.test_extraction import Calls
from tests.test_terminal import on_terminal
from tests.workbench import Bench, Workspace

AS_NOBODY = "import os; from ingest_assets.cli.recording import _user; os.setuid(54321); print(_user())"


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.workspace("acme", "general")
    made.say_many("general", 3)
    made.reads()
    return made


def noted(bench: Bench) -> list[tuple[Any, ...]]:
    with bench.engine.connect() as conn:
        rows = conn.execute(operations.select().order_by(operations.c.operation_id)).all()
    return [(row.command, row.workspace_id, row.source, row.options, row.exit_code) for row in rows]


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestWhatChangesSomething:
    @pytest.mark.usefixtures("acme")
    def test_is_noted_with_its_end_and_without_anything_that_was_typed_freely(self, bench: Bench) -> None:
        bench.run("pause", "slack", "--workspace", "acme", INGEST_OPERATOR="ann@ops")
        bench.run("resume", "slack", "--workspace", "acme", "--name", "secret name")
        bench.run("connect", "slack", "--workspace", "acme", "--token", "-", "--public-only", stdin="xoxb-wrong")
        bench.run("person", "erase", "ann@acme.example", "--workspace", "acme", "--yes")
        bench.run("person", "erase", "ann@acme.example", "--workspace", "acme", "--dry-run")
        bench.run("person", "find", "ann@acme.example")
        bench.run("rejected", "list")
        assert noted(bench) == [
            ("pause", "acme", "slack", {}, 0),
            ("resume", "acme", "slack", {}, 2),
            ("connect slack", "acme", "slack", {"public_only": True}, 2),
            ("person erase", "acme", None, {"yes": True}, 0),
        ]
        listed = json.loads(said(bench.run("operations", "--json", "--workspace", "acme")))
        assert [entry["command"] for entry in listed] == ["person erase", "connect slack", "resume", "pause"]
        assert listed[-1]["who"] == "ann@ops"
        assert "@" in listed[0]["who"]
        shown = said(bench.run("operations", "--last", "1"))
        assert "person erase" in shown
        assert "ann@acme.example" not in json.dumps(listed) + shown

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user who has no name")
    def test_is_done_by_a_user_without_a_name_too(self) -> None:
        """As containers run with any id."""
        done = subprocess.run(  # noqa: S603  (our own function)
            [sys.executable, "-c", AS_NOBODY],
            env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.returncode) == ("uid 54321\n", 0), done.stderr

    def test_of_a_workspace_that_is_purged_stays_without_its_name(self, bench: Bench, acme: Workspace) -> None:
        bench.run("pause", "slack", "--workspace", "acme")
        said(bench.run("workspace", "purge", "acme", "--yes"))
        assert noted(bench) == [("workspace purge", None, None, {"yes": True}, 0)]
        assert acme.rows == {}


class TestASource:
    def test_is_paused_for_all_and_resumed_but_for_who_was_paused_before(self, bench: Bench) -> None:
        made = [bench.workspace(name, "general") for name in ("acme", "globex", "initech")]
        bench.run("pause", "slack", "--workspace", "globex")
        assert said(bench.run("pause", "slack", "--all")).startswith("2 slack accounts are paused; ")
        assert {workspace.account.state for workspace in made} == {"paused"}
        assert "stay paused" in said(bench.run("resume", "slack", "--all"))
        assert [workspace.account.state for workspace in made] == ["active", "paused", "active"]
        said(bench.run("pause", "slack", "--all"))
        said(bench.run("resume", "slack", "--workspace", "acme"))
        assert [workspace.account.state for workspace in made] == ["active", "paused", "paused"]

    @pytest.mark.parametrize("arguments", [["slack"], ["slack", "--all", "--workspace", "acme"], ["features"]])
    def test_needs_to_be_told_of_whom(self, bench: Bench, acme: Workspace, arguments: list[str]) -> None:
        for verb in ("pause", "resume"):
            done = bench.run(verb, *arguments)
            assert (done.returncode, "--workspace" in done.stderr) == (2, True)
        assert acme.account.state == "active"


class TestTheLanguageModel:
    def test_reads_nothing_of_a_workspace_that_is_paused(self, bench: Bench) -> None:
        calls = Calls(bench)
        calls.add(2)
        assert "reads nothing more of workspace acme" in said(
            bench.run("pause", "features", "--workspace", "acme")
        )
        told = said(bench.run("extract", "gong", "--workspace", "acme"))
        assert "skipped" in told
        assert "`ingest-assets resume features --workspace acme` lets it go on" in told
        assert calls.due() == []
        said(bench.run("resume", "features", "--all"))
        assert calls.due() == ["acme"]
        assert calls.extract().extracted == 2
        assert bench.run("pause", "features", "--workspace", "acne").returncode == 2


class TestWhatCannotBeTakenBack:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["disconnect", "slack"], "Forget the login of 1 account ('Acme') of workspace acme? The 3 rows"),
            (["remove"], "Remove workspace acme and forget the logins of 1 account? The 3 rows"),
            (["workspace", "purge"], "Delete workspace acme, its 1 account and"),
        ],
    )
    def test_says_how_much_it_is_and_asks(
        self, bench: Bench, acme: Workspace, arguments: list[str], sentence: str
    ) -> None:
        whose = ["--workspace", "acme"] if arguments[0] == "disconnect" else ["acme"]
        done = bench.run(*arguments, *whose)
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
        assert "Nobody answers here; pass --yes." in done.stderr
        asked = on_terminal(bench, *arguments, *whose, typed="n\n")
        assert "[y/N]" in asked
        assert acme.account.state == "active"
        said(bench.run(*arguments, *whose, "--yes"))
        assert arguments == ["workspace", "purge"] or acme.account.state == "disconnected"
