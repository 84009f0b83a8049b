"""A sync that is killed, frozen, raced or paused loses nothing, repeats nothing and writes nothing afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.storage.accounts import set_state
from ingest_assets.storage.schema import ACTIVE, DISCONNECTED, PAUSED
from ingest_assets.sync.result import SyncResult
from tests.workbench import Bench, Workspace

PATIENCE = 20.0  # seconds that a test waits for another process
LATENCY = 0.01  # seconds per request, so that there is a middle to strike in
SHORT = "1"  # a lease of one second


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    """A workspace that takes many requests to read."""
    world = {"channels": 3, "messages": 40, "threads": 10, "replies": 6, "broadcasts": 3}
    made = bench.workspace("acme", world=world, page_cap=5)
    bench.order("latency", seconds=LATENCY)
    return made


@contextmanager
def syncing(bench: Bench, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own, for as long as the block lasts."""
    process = bench.start("sync", "slack", "--workspace", "acme", "--json", INGEST_LEASE_SECONDS=SHORT, **changes)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Ask again and again, and leave the processor to the other process in between."""
    deadline = monotonic() + PATIENCE
    while not true():
        assert monotonic() < deadline, "it did not come to that"
        assert process is None or process.poll() is None, "the process ended before"
        sleep(0.002)


def asked(bench: Bench, since: int, requests: int) -> Callable[[], bool]:
    return lambda: bench.requests() - since >= requests


def sync_once_free(workspace: Workspace) -> SyncResult:
    """Sync as soon as the lease of the one before has run out."""
    found: list[SyncResult] = []

    def went() -> bool:
        found.append(workspace.sync())
        return found[-1].status != "skipped"

    wait_until(went)
    return found[-1]


def undisturbed(workspace: Workspace) -> list[tuple[str, bytes]]:
    """What one sync into empty tables leaves."""
    workspace.bench.execute(
        "truncate raw.slack_messages, raw.slack_users, raw.slack_channels, ingest.sync_cursors"
    )
    workspace.reads()
    return workspace.content()


def report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    found: dict[str, Any] = json.loads(out)
    return found


class TestAKilledSync:
    @pytest.mark.parametrize("requests", [1, 3, 6, 12, 20, 30, 45])
    def test_loses_and_repeats_nothing(self, acme: Workspace, requests: int) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, requests), process)
            process.kill()
            process.wait(PATIENCE)
        kept = len(acme.rows)
        result = sync_once_free(acme)
        assert result.status == "success"
        assert result.counts.new == len(acme.rows) - kept
        assert acme.held() == acme.shown()
        assert acme.content() == undisturbed(acme)

    def test_that_hung_in_the_middle_of_a_commit_loses_and_repeats_nothing(self, acme: Workspace) -> None:
        bench = acme.bench
        with syncing(bench) as process, bench.engine.connect() as conn, conn.begin():
            conn.execute(text("lock table raw.slack_messages in share mode"))  # readers pass, writers wait
            wait_until(lambda: waiting_writers(bench) > 0, process)
            process.kill()
            process.wait(PATIENCE)
        assert sync_once_free(acme).status == "success"
        assert acme.content() == undisturbed(acme)

    def test_of_an_account_that_was_read_before_finds_the_changes_in_the_end(self, acme: Workspace) -> None:
        bench = acme.bench
        acme.reads()
        acme.order("life", seed=3, steps=80)
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, 8), process)
            process.kill()
            process.wait(PATIENCE)
        assert sync_once_free(acme).status == "success"
        assert {(channel, ts) for channel, ts, _, _ in acme.shown()} <= {
            (channel, ts) for channel, ts, _, _ in acme.held()
        }


def waiting_writers(bench: Bench) -> int:
    with bench.engine.connect() as conn:
        return int(
            conn.execute(
                text(
                    "select count(*) from pg_stat_activity "
                    "where datname = current_database() and wait_event_type = 'Lock'"
                )
            ).scalar_one()
        )


def open_transactions(bench: Bench) -> int:
    with bench.engine.connect() as conn:
        return int(
            conn.execute(
                text(
                    "select count(*) from pg_stat_activity where datname = current_database() "
                    "and pid <> pg_backend_pid() and state <> 'idle'"
                )
            ).scalar_one()
        )


LEFT_EARLY = """
import os
from ingest_assets.app import App
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.sources.slack import SLACK

app = App.load(os.environ)
names = [f"w{number}" for number in range(12)]
held_by_whoever_failed = sync_workspaces(SLACK, names, app.options_of(SLACK), app.worker("left early"))
print(next(held_by_whoever_failed)[0])
"""
"""What remains of a run whose step failed between two results: the process ends, and other accounts are read."""


class TestAProcessThatEnds:
    def test_leaves_the_accounts_that_it_was_reading_as_they_were(self, bench: Bench) -> None:
        for number in range(12):
            bench.workspace(f"w{number}", world={"channels": 3, "messages": 40})
        bench.order("latency", seconds=0.1)
        bench.execute("update ingest.accounts set due_at = now()")
        ended = subprocess.run(  # noqa: S603  (our own text)
            [sys.executable, "-c", LEFT_EARLY],
            env=bench.shell(INGEST_PARALLEL_ACCOUNTS="3"),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert ended.stdout.startswith("w")
        with bench.engine.connect() as conn:
            found = conn.execute(
                text(
                    "select state, reason, attempts, run_alone, lease_owner, count(*) "
                    "from ingest.accounts where last_success_at is null group by 1, 2, 3, 4, 5"
                )
            ).all()
        assert [tuple(row[:-1]) for row in found] == [(ACTIVE, None, 0, False, None)]
        assert found[0][-1] >= 5  # those under way included


class TestTwoSyncsOfOneAccount:
    def test_at_the_same_time_write_once(self, acme: Workspace) -> None:
        bench = acme.bench
        bench.order("latency", seconds=1)  # the first works until the second has ended, however late it starts
        with syncing(bench) as one, syncing(bench) as other:
            wait_until(lambda: (one.poll(), other.poll()) != (None, None))
            bench.order("latency", seconds=0)
            reports = [report_of(one), report_of(other)]
            assert (one.returncode, other.returncode) == (0, 0)
        assert sorted(report["status"] for report in reports) == ["skipped", "success"]
        assert sum(report["new"] for report in reports) == len(acme.shown())
        assert acme.held() == acme.shown()
        assert len(acme.history) == 1

    def test_a_living_sync_keeps_its_lease_however_long_it_takes(self, acme: Workspace) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, 2), process)
            bench.order("latency", seconds=1.5)
            requests = bench.requests()
            began = monotonic()
            statuses = set()
            while monotonic() - began < 2.5:
                statuses.add(acme.sync().status)
            assert statuses == {"skipped"}
            assert bench.requests() - requests < 40
            bench.order("latency", seconds=0)
            assert report_of(process)["status"] == "success"

    def test_where_the_first_was_frozen_and_overtaken_the_zombie_writes_nothing(self, acme: Workspace) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as zombie:
            wait_until(asked(bench, since, 10), zombie)
            freeze_between_commits(bench, zombie)
            assert sync_once_free(acme).status == "success"
            acme.order("life", seed=1, steps=30)
            acme.reads()
            before = acme.content(), acme.cursors, len(acme.history)
            os.kill(zombie.pid, signal.SIGCONT)
            report = report_of(zombie)
        assert report["status"] == "skipped"
        assert "taken over" in report["accounts"][0]["reason"]
        assert (acme.content(), acme.cursors, len(acme.history)) == before


def freeze_between_commits(bench: Bench, process: subprocess.Popen[str]) -> None:
    def frozen() -> bool:
        os.kill(process.pid, signal.SIGSTOP)
        if open_transactions(bench) == 0:
            return True
        os.kill(process.pid, signal.SIGCONT)
        return False

    wait_until(frozen, process)


class TestASignal:
    """Ctrl-C and SIGTERM end a sync at a safe place."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("requests", [2, 12, 30])
    def test_ends_a_sync_after_the_page_under_way(self, acme: Workspace, number: int, requests: int) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, requests), process)
            bench.order("latency", seconds=60)  # no answer is waited for
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
        bench.order("latency", seconds=0)
        assert process.returncode == 130
        assert err.endswith("Stopping at a safe place ... (once more: at once)\n")  # progress may stand before it
        assert (json.loads(out)["status"], json.loads(out)["accounts"][0]["reason"]) == (
            "partial",
            "stopped; the next run goes on",
        )
        assert (acme.account.lease_until, acme.account.state) == (None, "active")
        assert acme.sync().status == "success"
        assert acme.held() == acme.shown()

    def test_that_comes_twice_ends_it_at_once(self, acme: Workspace) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process, bench.engine.connect() as conn:
            wait_until(asked(bench, since, 12), process)
            conn.execute(text("select 1 from ingest.accounts for update"))  # no page can be committed
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            assert "Stopping" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE) == 130
        assert sync_once_free(acme).status == "success"
        assert acme.held() == acme.shown()


class TestAnAccountThatIsChangedDuringASync:
    @pytest.mark.parametrize("state", [PAUSED, DISCONNECTED])
    def test_stops_it_at_its_next_commit(self, acme: Workspace, state: str) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, 10), process)
            with bench.engine.begin() as conn:
                set_state(conn, [acme.account.account_id], state, "by hand")
            kept = acme.content()
            report = report_of(process)
            assert process.returncode == 0
        assert (report["status"], acme.account.state) == ("skipped", state)
        assert acme.content() == kept
        assert len(kept) < len(acme.shown())
        if state == DISCONNECTED:
            assert acme.account.credential == {}
            bench.connect(acme)
        else:
            with bench.engine.begin() as conn:
                set_state(conn, [acme.account.account_id], ACTIVE)
        acme.reads()
        assert acme.held() == acme.shown()


class TestATimeLimit:
    def sync(self, workspace: Workspace) -> str:
        done = workspace.bench.run("sync", "slack", "--workspace", "acme", "--json", INGEST_SYNC_MINUTES="0.02")
        return str(json.loads(done.stdout)["status"])

    def test_stops_a_sync_at_a_safe_place_and_the_next_ones_go_on(self, acme: Workspace) -> None:
        acme.bench.order("latency", seconds=0.05)
        assert self.sync(acme) == "partial"
        account = acme.account
        assert "time limit" in acme.history[-1].summary["accounts"][0]["reason"]
        assert (account.state, account.attempts, account.last_success_at) == ("active", 0, None)
        assert account.due_at <= acme.bench.clock.now()
        assert any(self.sync(acme) and acme.held() == acme.shown() for _ in range(40))
        acme.bench.order("latency", seconds=0)
        assert acme.content() == undisturbed(acme)

    def test_that_is_shorter_than_the_list_of_users_takes_is_no_obstacle(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", users=60, page_cap=2)
        acme.say_many("general", 3)
        bench.order("latency", seconds=0.03)
        assert any(self.sync(acme) == "success" for _ in range(5))
        assert acme.held() == acme.shown()


class TestALostDatabase:
    def test_is_told_in_one_sentence_and_the_next_sync_goes_on(self, acme: Workspace) -> None:
        bench = acme.bench
        since = bench.requests()
        with syncing(bench) as process:
            wait_until(asked(bench, since, 10), process)
            bench.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            _, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err
        assert process.returncode in (0, 1, 2)
        sync_once_free(acme)
        assert acme.content() == undisturbed(acme)
