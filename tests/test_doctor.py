"""`doctor` finds what is wrong, names what mends it, and is content afterwards; it changes nothing itself."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from alembic.command import downgrade
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from dagster._daemon.types import DaemonHeartbeat

from ingest_assets.cli.doctor.checks import CHECKS
from ingest_assets.cli.doctor.finding import CANNOT, FINE, NOTE, PROBLEM, Finding
from ingest_assets.cli.doctor.machine import room
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.cli.doctor.running import Check, examine
from ingest_assets.cli.processes import dagster_environment
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.engine import head_revision
from ingest_assets.storage.migrate import config
from ingest_assets.storage.process_reports import CODE_LOCATION, RUN, report_process
from ingest_assets.storage.vault import new_key
from tests.sources.tenants import TENANTS, FathomTenant, SlackTenant, Tenant
from tests.test_tokens import refreshes, rotating
from tests.workbench import Bench

REPOSITORY = Path(__file__).parent.parent
CHEAP = [check for check in CHECKS if check.name != "the code location"]  # which takes four seconds


def examined(bench: Bench, **changes: Any) -> list[Finding]:
    """Look at everything but the code location, in this process; `changes`: options, `now`, and variables."""
    options = {name: changes.pop(name, None) for name in ("workspace", "source")}
    offline, now = changes.pop("offline", False), changes.pop("now", None)
    environ = bench.shell(**changes)
    patient = Patient.of(environ, **options, offline=offline)
    if now is not None:
        patient = Patient(environ, patient.app, (), None, None, offline, now)
    try:
        return list(examine(patient, CHEAP))
    finally:
        if patient.app.core.database_url is not None:
            patient.app.any_engine.dispose()
            if "dagster_engine" in vars(patient.app):
                patient.app.dagster_engine.dispose()


def wrong(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.level in {CANNOT, PROBLEM}]


def only(found: list[Finding]) -> Finding:
    [one] = wrong(found)
    return one


def mended(bench: Bench, finding: Finding, *answers: str) -> None:
    """Run the command that a finding names, as it stands."""
    assert finding.command is not None
    program, *arguments = shlex.split(finding.command)
    assert program == "ingest-assets"
    done = bench.run(*arguments, stdin="".join(f"{answer}\n" for answer in answers))
    assert done.returncode == 0, done.stderr


def everything(bench: Bench) -> dict[str, list[Any]]:
    """Return all rows that could be changed by looking."""
    tables = ("ingest.accounts", "ingest.token_pairs", "ingest.syncs", "ingest.unreadable_parts", "ingest.leases")
    with bench.engine.connect() as conn:
        return {table: list(conn.exec_driver_sql(f"select * from {table} order by 1")) for table in tables}


@pytest.fixture
def acme(bench: Bench) -> Tenant:
    tenant = SlackTenant(bench, "acme").connected()
    tenant.add()
    tenant.reads()
    return tenant


class TestTheCommand:
    def test_is_content_with_all_sources_that_are_well(self, bench: Bench) -> None:
        for kind in TENANTS.values():
            tenant = kind(bench, "acme").connected()
            tenant.add()
            tenant.reads()
        before = everything(bench)
        done = bench.run("doctor", "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["counts"].get("problem")) == (0, None), done.stdout
        sentences = "\n".join(one["sentence"] for one in told["findings"])
        for words in (
            "PostgreSQL 18",
            "The code location loads.",
            "The login of Gong account",
            "the bot is in 1 channel.",
            "clock and Fathom's agree",
            "requests of the last 24 hours are left for Gong",
        ):
            assert words in sentences
        assert everything(bench) == before
        asked = bench.requests()
        assert wrong(examined(bench, offline=True, source="gmail")) == []
        bench.execute("update ingest.accounts set last_success_at = null")
        printed = bench.run("doctor", "--offline", "--source", "gmail")
        assert printed.returncode == 1
        first, command = printed.stdout.splitlines()[:2]
        assert first == "Problem: Gmail account 'team@acme.example' of workspace acme was never read to its end."
        assert command == "    ingest-assets sync gmail --workspace acme"
        assert printed.stdout.splitlines()[-1].startswith("1 problem, ")
        assert "Dagster has never used this database" in printed.stdout
        assert bench.requests() == asked

    def test_says_what_it_can_without_a_database_and_with_wrong_settings(self, bench: Bench) -> None:
        done = bench.run(
            "doctor",
            DATABASE_URL=None,
            INGEST_WEB_PROT="3000",
            SLACK_CONCURRENCY="many",
            INGEST_ENCRYPTION_KEYS="x",
        )
        assert done.returncode == 2
        for words in (
            "INGEST_WEB_PROT is not a setting: did you mean INGEST_WEB_PORT?",
            "SLACK_CONCURRENCY is not usable",
            "DATABASE_URL is not set.",
            "The code location cannot be loaded with this environment: INGEST_WEB_PROT is not a setting",
            "Not looked at, since the database cannot be used as it is: the tables, ",
        ):
            assert words in done.stdout
        assert "Traceback" not in done.stderr + done.stdout
        url = "postgresql://ada:pass-word@127.0.0.1:1/none"
        refused, left = [one for one in examined(bench, offline=True, DATABASE_URL=url) if one.level != FINE][:2]
        assert (refused.level, "PostgreSQL at 127.0.0.1:1/none does not let us in" in refused.sentence) == (
            CANNOT,
            True,
        )
        assert "pass-word" not in f"{refused} {left}"
        unknown = only(examined(bench, offline=True, workspace="no\x1bone"))
        assert unknown.sentence.startswith("There is no workspace 'no\\x1bone': nobody")
        assert unknown.level == CANNOT
        assert bench.run("doctor", "--source", "pigeon").returncode == 2

    def test_ends_soon_by_ctrl_c_while_a_vendor_hangs(self, bench: Bench, acme: Tenant) -> None:
        assert acme
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            process = bench.start("doctor", SLACK_API_URL=address)
            assert process.stderr is not None
            assert "Looking at logins at the vendors ...\n" in iter(process.stderr.readline, "")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err.strip()) == (130, "")


class TestACheck:
    def test_that_fails_or_hangs_is_a_finding_and_stops_no_other(
        self, bench: Bench, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def fails(_patient: Patient) -> Iterator[Finding]:
            raise LookupError("with a secret in it")

        checks = [
            Check("what fails", fails),
            Check("what hangs", lambda _patient: time.sleep(5) or [], limit=2.2),  # type: ignore[func-returns-value]
            CHECKS[0],
        ]
        patient = Patient.of(bench.shell(), workspace="acme", source=None, offline=True)
        first, second, last = examine(patient, checks)
        assert (first.level, first.sentence) == (
            PROBLEM,
            "Looking at what fails failed (LookupError), so it is not known.",
        )
        assert (second.level, second.command) == (PROBLEM, "ingest-assets doctor --workspace acme")
        assert last.level == FINE
        assert capfd.readouterr().err == "Looking at what hangs ...\n"

    def test_of_disks_tells_a_full_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert room("it", tmp_path).level == FINE
        monkeypatch.setattr("shutil.disk_usage", lambda _path: (100 * 2**30, 99 * 2**30, 2**30))
        assert "Only 1.0 of 100 GiB are free where it is" in room("it", tmp_path).sentence


class TestTheDatabase:
    def test_that_is_behind_is_migrated_by_the_command(self, bench: Bench) -> None:
        ours = config()
        with bench.engine.begin() as conn:
            ours.attributes["connection"] = conn
            downgrade(ours, "-1")
        finding = only(examined(bench, offline=True))
        assert f", and this program needs {head_revision()}" in finding.sentence
        mended(bench, finding)
        assert wrong(examined(bench, offline=True)) == []
        bench.execute("update ingest.alembic_version set version_num = '9999'")
        assert "Update ingest_assets" in str(only(examined(bench)).action)

    def test_that_hides_its_rows_and_a_clock_that_is_wrong(self, bench: Bench, acme: Tenant) -> None:
        assert acme
        bench.execute("drop role if exists stranger")
        bench.execute("create role stranger login")
        bench.execute("grant usage on schema ingest to stranger")
        bench.execute("grant select, update on all tables in schema ingest to stranger")
        url = bench.database_url.replace("postgres@", "stranger@").replace("//postgres:", "//stranger:")
        try:
            found = wrong(examined(bench, DATABASE_URL=url, offline=True))
            assert "row-level security hides every row" in found[0].sentence
            assert found[0].command == 'psql "$DATABASE_URL" -U postgres -c \'grant "postgres" to "stranger"\''
        finally:
            bench.execute("drop owned by stranger")
            bench.execute("drop role stranger")
        late = only(examined(bench, now=datetime.now(UTC) - timedelta(minutes=20), offline=True))
        assert (late.level, "PostgreSQL's said" in late.sentence) == (CANNOT, True)


class TestStoredLogins:
    def test_that_cannot_be_opened_here(self, bench: Bench, acme: Tenant) -> None:
        key = bench.environ["INGEST_ENCRYPTION_KEYS"]
        other = only(examined(bench, INGEST_ENCRYPTION_KEYS=new_key()))
        assert "the key here that 1 stored secret (acme's slack account 'Acme') needs" in other.sentence
        assert "is not set here" in only(examined(bench, INGEST_ENCRYPTION_KEYS=None)).sentence
        newer = {"INGEST_ENCRYPTION_KEYS": f"{new_key()},{key}"}
        [old] = [one for one in examined(bench, **newer) if one.command == "ingest-assets rotate-keys"]
        assert old.level == NOTE
        assert bench.run("rotate-keys", **newer).returncode == 0
        assert not [one for one in examined(bench, **newer) if one.command == "ingest-assets rotate-keys"]
        assert acme

    def test_that_processes_elsewhere_cannot_open(self, bench: Bench) -> None:
        tenant = SlackTenant(bench, "acme")
        bench.run("connect", "slack", "--workspace", "acme", "--token", "env:ACME", ACME=tenant.secrets["token"])
        mine = {"ACME": tenant.secrets["token"]}
        key = bench.environ["INGEST_ENCRYPTION_KEYS"]
        bench.execute("update ingest.accounts set last_success_at = now()")
        missing = only(examined(bench))
        assert missing.sentence.startswith("The variable ACME, which holds the login of acme's slack account")
        [unknown] = [one for one in examined(bench, **mine) if "is not known: none has said so" in one.sentence]
        assert unknown.level == NOTE
        report_process(bench.engine, CODE_LOCATION, key, {})
        report_process(bench.engine, RUN, key, mine)
        there = only(examined(bench, **mine))
        assert f"is not set in the {CODE_LOCATION} on this machine" in there.sentence
        report_process(bench.engine, CODE_LOCATION, key, mine)
        bench.execute("update ingest.process_reports set host = 'worker-7' where kind = 'run'")
        assert wrong(examined(bench, **mine)) == []
        SlackTenant(bench, "beta").connected()
        bench.execute("update ingest.accounts set last_success_at = now()")
        report_process(bench.engine, RUN, new_key(), mine)
        assert (
            "does not hold the key of every stored login in the run on" in only(examined(bench, **mine)).sentence
        )
        bench.execute("update ingest.process_reports set reported_at = now() - interval '1 hour'")
        assert wrong(examined(bench, **mine)) == []
        assert socket.gethostname() not in str(examined(bench, **mine))


class TestAnAccount:
    def test_with_a_revoked_token_is_mended_by_the_command(self, bench: Bench) -> None:
        acme = SlackTenant(bench, "acme")
        acme.connect(name="Ada's team", public_only=True, channels=("general",))
        acme.add()
        acme.reads()
        settings = acme.account.settings
        acme.revoke()
        found = only(examined(bench))
        assert found.sentence == (
            'Slack account "Ada\'s team" of workspace acme cannot be used: Slack refused auth.test: token_revoked.'
        )
        assert acme.sync().status == "failed"
        found, stored = only(examined(bench)), only(examined(bench, offline=True))
        assert "cannot be used since 2" in found.sentence
        assert "needs a new login since 2" in stored.sentence
        assert found.command == stored.command
        acme.revoke(revoked=False)
        works = only(examined(bench))
        assert "works again" in works.sentence
        mended(bench, found, acme.secrets["token"])
        assert wrong(examined(bench)) == []
        assert acme.account.settings == settings
        assert acme.account.name == "Ada's team"
        assert works.command == "ingest-assets resume slack --workspace acme --name 'Ada'\"'\"'s team'"

    @pytest.mark.parametrize("kind", [kind for kind in TENANTS.values() if kind is not SlackTenant])
    def test_of_any_source_is_connected_anew_by_the_command(self, kind: type[Tenant], bench: Bench) -> None:
        tenant = kind(bench, "acme").connected()
        tenant.add()
        tenant.reads()
        tenant.revoke()
        found = only(examined(bench))
        tenant.revoke(revoked=False)
        secret = [field for field, stored in tenant.account.credential.items() if "sealed" in stored]
        given = tenant.account.credential
        mended(bench, found, *(tenant.secrets[field] for field in given if field in secret))
        assert wrong(examined(bench)) == []

    def test_that_lost_a_channel_is_mended_by_the_command(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "deal-room")
        acme.say("general", "here")
        acme.say("deal-room", "there")
        acme.reads()
        acme.order("membership", channel="deal-room", member=False)
        assert acme.sync().status == "partial"
        lost = only(examined(bench))
        assert "#deal-room of Slack account 'Acme' of workspace acme" in lost.sentence
        mended(bench, lost)
        assert acme.sync().status == "success"
        assert wrong(examined(bench)) == []

    def test_says_what_waits_and_what_is_slow(self, bench: Bench, acme: Tenant) -> None:
        acme.add_malformed()
        acme.sync()
        [rejected] = [one for one in wrong(examined(bench)) if "could not be parsed" in one.sentence]
        assert "1 item of Slack account 'Acme' of workspace acme" in rejected.sentence
        assert bench.run(*shlex.split(str(rejected.command))[1:]).returncode == 1  # it is malformed as before
        bench.execute(
            "update ingest.sync_cursors set cursor = cursor || '{\"limited\": true}' where cursor ? 'limited'"
        )
        bench.execute("update ingest.accounts set last_success_at = now() - interval '1 day', state = 'active'")
        found = examined(bench, offline=True)
        assert any("Slack holds this app to 1 request a minute" in one.sentence for one in found)
        [old] = [one for one in wrong(found) if "which is too long ago" in one.sentence]
        assert old.command == "ingest-assets sync slack --workspace acme"
        bench.run("pause", "slack", "--workspace", "acme")
        [paused] = [one for one in examined(bench) if "is paused since" in one.sentence]
        mended(bench, paused)
        assert not [one for one in examined(bench) if "is paused since" in one.sentence]

    def test_is_told_from_a_vendor_that_hangs_and_one_whose_clock_is_wrong(
        self, bench: Bench, acme: Tenant
    ) -> None:
        bench.order("clock", advance_seconds=3600)
        apart = only(examined(bench))
        assert "and Slack's says" in apart.sentence
        bench.order("clock", advance_seconds=-3600)
        down = wrong(examined(bench, SLACK_API_URL="http://127.0.0.1:1/"))
        assert "could not be asked: Slack did not answer auth.test" in down[0].sentence
        assert acme

    @pytest.mark.parametrize("kind", [SlackTenant, FathomTenant])
    def test_keeps_its_pair_of_tokens_while_it_lasts(self, kind: type[Tenant], bench: Bench) -> None:
        acme = rotating(kind, bench).connected()
        acme.add()
        acme.reads()
        before = refreshes(acme)
        assert wrong(examined(bench)) == []
        assert refreshes(acme) == before
        bench.clock.advance(timedelta(hours=2))  # the vendor's, too, which takes the token no longer
        assert {one.check for one in wrong(examined(bench))} == {"the vendors' clocks"}
        assert refreshes(acme) == before + 1
        acme.reads()  # with what doctor was given: a refresh token works once


class TestDagster:
    """With Dagster's real storage, in the database of the project, and no process of it."""

    def test_is_dead_stopped_or_fine(
        self, bench: Bench, acme: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(REPOSITORY)
        environ = dagster_environment(bench.database_url, tmp_path / "home", {})
        mine = {name: environ[name] for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL")}
        storage = {"postgres": {"postgres_url": sqlalchemy_url(bench.database_url, "psycopg2")}}
        with dg.instance_for_test(overrides={"storage": storage}) as instance:

            def beat(ago: float, *errors: Any) -> None:
                for daemon in ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"):
                    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, daemon, "one", list(errors)))

            def sentences(**more: Any) -> list[str]:
                return [one.sentence for one in wrong(examined(bench, offline=True, **mine, **more))]

            assert "has never given a sign" in sentences()[0]
            beat(3600)
            dead, off = sentences()
            assert "gave its last sign at" in dead
            assert off == "The schedule slack_sync is off, so no schedule reads 1 slack account."
            beat(-3600)
            assert "which PostgreSQL's clock has not reached" in sentences()[0]
            beat(5)
            finding = only(examined(bench, offline=True, **mine))
            assert finding.command == "dagster schedule start -w workspace.yaml slack_sync"
            done = subprocess.run(  # noqa: S603
                [Path(sys.executable).parent / "dagster", *finding.command.split()[1:]],
                env={**bench.shell(), **environ, **bench.environ},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert sentences() == []
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 900, "SENSOR", "one", []))
            assert sentences() == ["Of Dagster's daemon SENSOR gave no sign within 5 minutes."]
            beat(5)
            self.stop(instance, "slack_due")
            assert sentences() == ["The sensor slack_due is off, so slack accounts that fail are not retried."]
        for address, words in (
            (
                "postgresql+psycopg2://ada:pass-word@127.0.0.1:1/x",
                "PostgreSQL at 127.0.0.1:1/x does not let us in",
            ),
            ("mysql://ada:pass-word@127.0.0.1/x", "DAGSTER_POSTGRES_URL is no address of a PostgreSQL."),
        ):
            monkeypatch.setenv("DAGSTER_POSTGRES_URL", address)
            found = wrong(examined(bench, offline=True, **mine | {"DAGSTER_POSTGRES_URL": address}))
            assert words in "".join(one.sentence for one in found)
            assert "pass-word" not in str(found)
        monkeypatch.delenv("DAGSTER_POSTGRES_URL")
        (tmp_path / "home" / "dagster.yaml").write_text("storage:\n  sqlite:\n    base_dir: x\n")
        assert "does not keep Dagster's storage in PostgreSQL" in sentences()[0]
        assert acme

    def stop(self, instance: dg.DagsterInstance, sensor: str) -> None:
        """Do what the web UI's switch does."""
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("ingest_assets"), "__repository__")
        data = ScheduleInstigatorData("* * * * *", 1.0)
        origin = RemoteInstigatorOrigin(repository, sensor)
        instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, data)
        )
