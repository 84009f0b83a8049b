"""`ingest-assets status`: what is wrong comes first, what many share is one line, and it fits the terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from ingest_assets.cli.output import ago
from tests.test_terminal import STYLE, on_terminal
from tests.workbench import Bench, Workspace

AGO = re.compile(r"\d+ s ago")
NAMES = [f"team-{place}" for place in range(13)]


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.workspace("acme", "general")
    made.say_many("general", 3)
    made.reads()
    return made


def shown(bench: Bench, *arguments: str) -> list[str]:
    return bench.run("status", *arguments).stdout.splitlines()


class TestWhatIsWrong:
    def test_is_told_before_the_accounts_and_by_the_exit_code(self, bench: Bench, acme: Workspace) -> None:
        assert shown(bench)[0] == "Nothing is wrong."
        assert bench.run("status", "--problems").returncode == 0
        acme.order("token", revoked=True)
        acme.sync()
        first, *rest = shown(bench)
        assert first.startswith("acme slack Acme: needs_reconnect since 2026-")
        assert "s ago): Slack" in first
        assert rest[1].split() == [
            *("workspace", "source", "account", "state", "rows", "pending"),
            *("api_calls", "calls_left", "last_success"),
        ]
        done = bench.run("status", "--problems")
        assert (done.returncode, AGO.sub("", done.stdout)) == (1, AGO.sub("", f"{first}\n"))
        [problem] = json.loads(bench.run("status", "--problems", "--json").stdout)
        assert AGO.sub("", f"{problem['who']}: {problem['problem']}") == AGO.sub("", first)

    def test_for_many_is_one_line(self, bench: Bench, acme: Workspace) -> None:
        made = [bench.workspace(name, "general") for name in NAMES]
        for workspace in made:
            workspace.fault("status", status=500, times=-1)
            workspace.sync()
        made[0].order("token", revoked=True)
        first, *_ = shown(bench, "--problems")
        assert first.startswith(
            "Slack, 13 accounts of 13 workspaces (team-0, team-1, team-10 and 10 others): retrying since "
        )
        assert "HTTP 500" in first
        assert shown(bench, "--problems", "--workspace", "acme") == ["Nothing is wrong."]
        two = shown(bench, "--problems", "--workspace", "team-3", "--workspace", "team-4")
        assert [line.split()[0] for line in two] == ["team-3", "team-4", "team-3", "team-4"]  # and a part of each
        assert acme.account.state == "active"

    def test_is_also_what_was_set_aside_and_what_was_not_read_for_long(
        self, bench: Bench, acme: Workspace
    ) -> None:
        acme.say("general", "odd", extra={"edited": 5})
        acme.sync()
        [rejected] = shown(bench, "--problems")
        assert rejected == (
            "acme slack Acme: 1 item was rejected; `ingest-assets rejected list --workspace acme --source slack` "
            "lists them."
        )
        bench.execute(
            "update ingest.accounts set last_success_at = now() - interval '3 hours', "
            "state_since = now() - interval '1 day'"
        )
        assert shown(bench, "--problems")[0].startswith("acme slack Acme: last read completely 3 h ago")
        bench.run("pause", "slack", "--workspace", "acme")
        assert shown(bench, "--problems") == ["Nothing is wrong."]


class TestOptions:
    def test_that_cannot_be_used_are_refused_in_a_sentence(self, bench: Bench, acme: Workspace) -> None:
        for arguments, words in (
            (["--watch"], "--watch rewrites a terminal"),
            (["--workspace", "acne"], "acne"),
            (["--source", "slak"], "slak"),
        ):
            done = bench.run("status", *arguments)
            assert (done.returncode, words in done.stderr) == (2, True), arguments
        assert acme.account.name in bench.run("status", "--source", "slack", "--workspace", "acme").stdout
        assert shown(bench, "--source", "gong") == [
            "No account is connected; `ingest-assets connect` connects one."
        ]

    def test_choose_accounts_too(self, bench: Bench, acme: Workspace) -> None:
        bench.workspace("globex", "general")
        assert len(json.loads(bench.run("accounts", "--json").stdout)) == 2
        [entry] = json.loads(bench.run("accounts", "--json", "--workspace", "acme").stdout)
        assert entry["account"] == acme.account.name
        assert json.loads(bench.run("accounts", "--json", "--source", "gong").stdout) == []


class TestATerminal:
    def test_is_not_left_by_any_line(self, bench: Bench) -> None:
        bench.workspace("w" * 60, "general").reads()
        printed = STYLE.sub("", on_terminal(bench, "status"))
        folded = [line for line in printed.splitlines() if not line.startswith("w" * 60)]
        assert max(map(len, folded)) <= 80
        assert "".join(line.strip() for line in printed.splitlines()).count("w") >= 60  # nothing is cut off

    def test_shows_states_in_colour_unless_asked_not_to(self, bench: Bench, acme: Workspace) -> None:
        assert f"\x1b[32m{acme.account.state}" in on_terminal(bench, "status")
        assert "\x1b[32m" not in on_terminal(bench, "status", NO_COLOR="1")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (7800, "2 h 10 min ago"),
        (36_060, "10 h ago"),
        (3 * 86_400, "3 days ago"),
        (-120, "in 2 min"),
    ],
)
def test_times_are_told_as_people_tell_them(seconds: int, said: str) -> None:
    now = datetime.now(UTC)
    assert ago((now - timedelta(seconds=seconds)).isoformat(), now) == said
