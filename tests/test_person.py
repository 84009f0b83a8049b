"""A person who was erased is nowhere in the database, nor three syncs later; everybody else is where they were."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ingest_assets.errors import ProcessFault
from ingest_assets.features.featured import FEATURE_TABLES
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack.records import SlackUser
from ingest_assets.storage.schema import rejected_records
from ingest_assets.storage.suppressed import load_people
from ingest_assets.storage.vault import Vault, new_key
from ingest_assets.sync.erase import erase, finish_erasures
from ingest_assets.sync.person import Person, put_on_list
from tests.canaries import EMAIL, NAME, WORD, in_fathom, in_gmail, in_gong, in_slack
from tests.features.test_extraction import Calls, answer
from tests.sources.tenants import FathomTenant, GmailTenant, GongTenant, SlackTenant, Tenant
from tests.test_sync_crashes import wait_until
from tests.workbench import Bench

NEWER = "zweitwort"
TABLES = """
    select format('%I.%I', table_schema, table_name) from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema in ('raw', 'ingest', 'features', 'public') order by 1
"""


def dump(bench: Bench) -> dict[str, list[str]]:
    """Return every row of every table as JSON."""
    with bench.engine.connect() as conn:
        return {
            table: list(conn.execute(text(f"select to_jsonb(t)::text from {table} t")).scalars())
            for table in conn.execute(text(TABLES)).scalars()
        }


def traces(bench: Bench, *canaries: str) -> list[str]:
    """Return the rows in which a canary is, whatever its letter case."""
    sought = [canary.lower() for canary in canaries]
    return [
        f"{table}: {row}"
        for table, rows in dump(bench).items()
        for row in rows
        if any(canary in row.lower() for canary in sought)
    ]


@dataclass
class World:
    """One customer with all four sources, in which Ada and others talk."""

    bench: Bench
    slack: SlackTenant
    gong: GongTenant
    fathom: FathomTenant
    gmail: GmailTenant
    ids: list[str]

    @property
    def tenants(self) -> list[Tenant]:
        return [self.slack, self.gong, self.fathom, self.gmail]

    def sync(self) -> int:
        """Sync all; return how many rows of any table were written."""
        before = self.written()
        for tenant in self.tenants:
            result = tenant.sync()
            assert result.status == "success", result.reason
        return len(self.written() - before)

    def written(self) -> set[tuple[str, str, Any]]:
        return {
            (record.table.name, row.external_id, row.updated_at)
            for tenant in self.tenants
            for record in tenant.source.records
            for row in tenant.stored(record.table)
        }

    def others(self) -> set[tuple[str, str]]:
        """Rows in which Ada is not, whole but for the times of ours."""
        return {
            (table, row)
            for table, rows in dump(self.bench).items()
            for row in rows
            if table.startswith("raw.")
            and not any(one in row for one in (*self.ids, "Ada", "ada.", "Canar", WORD))
        }

    def erase(self, *arguments: str) -> dict[str, Any]:
        done = self.bench.run("person", "erase", EMAIL, "--yes", "--json", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def change_all(world: World) -> None:
    """Let what Ada is in change, so that she is in versions."""
    [*_, said] = [row for row in world.slack.rows.values() if row.author_id == world.ids[0]]
    world.slack.order("edit", channel="general", ts=said.ts, text=f"edited, still {WORD}")
    for row in (row for row in world.gong.rows.values() if WORD in str(row.text)):
        turn = {"speakerId": "2", "sentences": [{"start": 0, "end": 1, "text": "And once more."}]}
        world.gong.order("transcript", call=row.external_id, monologues=[*row.raw["transcript"], turn])
        facts = row.raw["metaData"] | {"purpose": "renewal"}
        payload = {key: row.raw[key] for key in ("parties", "content")} | {"metaData": facts}
        world.gong.order("raw", call=row.external_id, payload=payload)
    for row in (row for row in world.gmail.rows.values() if WORD in str(row.text)):
        world.gmail.order("message", thread=row.external_id, text="One more thing", hours_ago=0.1)


@pytest.fixture
def world(bench: Bench) -> World:
    calls = Calls(bench)
    made = World(
        bench,
        SlackTenant(bench, "acme").connected(),  # type: ignore[arg-type]  # each gives itself
        calls.gong,  # type: ignore[arg-type]
        FathomTenant(bench, "acme").connected(),  # type: ignore[arg-type]
        GmailTenant(bench, "acme").connected(),  # type: ignore[arg-type]
        [],
    )
    made.ids += in_slack(made.slack)
    in_gong(made.gong)
    in_fathom(made.fathom)
    in_gmail(made.gmail)
    for tenant in made.tenants:
        tenant.add()
    made.sync()
    quote = {"quote": f"I say {WORD}", "speaker": NAME, "kind": "pain", "statement": WORD, "person": NAME}
    for _ in calls.gong.living:
        calls.say(answer({**quote, "due": None, "sentiment": None}))
    calls.extract()
    assert any(WORD in str(row.items) for row in calls.rows.values())
    return made


def test_nothing_of_an_erased_person_is_left_and_nothing_comes_back(world: World) -> None:
    bench = world.bench
    others = world.others()
    world.slack.order("post", channel="general", text=f"odd {WORD}", user=world.ids[1], extra={"edited": "yes"})
    encoded = {"id": "m", "threadId": "t", "payload": {"body": {"data": "SSBzYXkgYWRhLmNhbmFyeUBleGFtcGxlLmNvbQ"}}}
    bench.execute(
        "insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload, error) "
        "values (:account, 'gmail_messages', 'm', 'acme', cast(:payload as jsonb), '')",
        account=world.gmail.account.account_id,
        payload=json.dumps(encoded),
    )
    change_all(world)
    world.sync()
    assert len(world.slack.stored(rejected_records)) == 2
    held = {row.split('"table_name": "')[1].split('"')[0] for row in traces(bench, WORD) if "raw.versions:" in row}
    assert held >= {"slack_messages", "gong_calls", "gmail_threads"}
    found = json.loads(bench.run("person", "find", EMAIL.title(), "--json").stdout)
    tables = {entry["table"] for entry in found["rows"]}
    assert {"raw.slack_messages", "raw.gong_calls", "raw.fathom_sessions", "raw.gmail_messages"} <= tables
    assert found["on_list_since"] is None
    before = dump(bench)
    assert bench.run("person", "erase", EMAIL, "--dry-run").returncode == 0
    assert dump(bench) == before

    report = world.erase()

    assert {entry["table"] for entry in report["rows"]} >= tables
    assert report["on_list_since"]
    left = traces(bench, EMAIL, WORD)
    assert left == []
    assert [row for row in traces(bench, NAME) if "Only my name tells" not in row] == []
    assert world.others() >= others - {row for row in others if "features" in row[0]}
    kept = {row.external_id: row for row in world.slack.stored(world.slack.table)}
    assert "ask @erased or [erased]" in {row.text for row in kept.values()}
    assert world.sync() == 0
    for _ in range(2):
        world.slack.forget_cursors()  # all that the vendors have is read again
        assert world.sync() == 0
    assert [row for row in traces(bench, EMAIL, WORD, NAME) if "Only my name tells" not in row] == []

    world.erase("--name", NAME.lower())
    assert traces(bench, NAME, "Only my name tells") == []
    world.sync()
    assert traces(bench, NAME, "Only my name tells") == []


@dataclass
class Acme:
    """A customer with two sources."""

    slack: SlackTenant
    gmail: GmailTenant
    ids: list[str] = field(default_factory=list)


class TestErasing:
    """Slack and Gmail are enough to see how it goes on after a crash, beside a sync, and with another key."""

    @pytest.fixture
    def acme(self, bench: Bench) -> Acme:
        acme = Acme(SlackTenant(bench, "acme"), GmailTenant(bench, "acme"))
        acme.ids += in_slack(acme.slack)
        in_gmail(acme.gmail)
        acme.slack.connected().reads()
        acme.gmail.connected().reads()
        return acme

    def erase(self, bench: Bench, **changes: Any) -> Counter[str]:
        given = {"workspace_id": None, "write": True, **changes}
        person = Person(EMAIL.upper())
        done = erase(bench.engine, bench.app.vault, SOURCES, FEATURE_TABLES, person, **given)
        return sum((one.counts for one in done), Counter())

    def test_goes_on_wherever_it_was_killed(self, bench: Bench, acme: Acme) -> None:
        bench.execute("create sequence writes")
        crash = (
            "create or replace function crash() returns trigger language plpgsql as $$ begin "
            "if nextval('writes') = {} then perform pg_terminate_backend(pg_backend_pid()); end if; "
            "return null; end $$"
        )
        tables = [
            "ingest.suppressed",
            "raw.slack_messages",
            "raw.gmail_messages",
            "raw.gmail_threads",
            "raw.versions",
        ]
        bench.execute(crash.format(0))
        for table in tables:
            bench.execute(
                f"create trigger crash after insert or update on {table} "
                "for each statement execute function crash()"
            )
        survived, write = 0, 0
        while True:
            write += 1
            bench.execute(crash.format(write))
            bench.execute("alter sequence writes restart")
            try:
                self.erase(bench)
            except OperationalError:
                survived += 1
                for tenant in (
                    acme.slack,
                    acme.gmail,
                ):  # nothing comes back meanwhile, what is left to do included
                    assert tenant.sync().status == "success"
            else:
                break
        for table in tables:
            bench.execute(f"drop trigger crash on {table}")
        bench.execute("drop sequence writes")
        assert survived > 5
        assert traces(bench, EMAIL, NAME, WORD) == []
        assert self.erase(bench) == Counter()

    def test_what_was_killed_is_finished_at_night(self, bench: Bench, acme: Acme) -> None:
        slack = acme.slack
        put_on_list(bench.engine, bench.app.vault, Person(EMAIL), "acme", [])
        for _ in range(2):
            done = finish_erasures(
                bench.engine, bench.app.vault, SOURCES, FEATURE_TABLES, datetime.now(UTC) + timedelta(days=1)
            )
            assert [one.workspace_id for one in done] == ["acme"]
            slack.order("user", id="U0NEWADA0", name="ada.canary", real_name=NAME)
            slack.order("post", channel="general", text=f"new {NEWER}", user="U0NEWADA0")
            bench.clock.advance(timedelta(days=2))
            slack.reads()
        assert traces(bench, EMAIL, NAME, WORD, NEWER) == []

    def test_an_id_that_becomes_known_later_is_looked_for(self, bench: Bench) -> None:
        slack = SlackTenant(bench, "acme")
        scopes = ["channels:history", "channels:read", "groups:history", "groups:read", "team:read", "users:read"]
        slack.order("token", scopes=scopes)
        in_slack(slack)
        slack.connect()
        slack.reads()
        self.erase(bench)
        assert traces(bench, WORD)  # nobody can know
        slack.order("token", scopes=[*scopes, "users:read.email"])
        bench.clock.advance(timedelta(days=2))
        slack.reads()
        moment = datetime.now(UTC) + timedelta(days=3)
        list(finish_erasures(bench.engine, bench.app.vault, SOURCES, FEATURE_TABLES, moment))
        assert traces(bench, EMAIL, WORD, NAME) == []

    def test_a_sync_under_way_writes_nobody_back(self, bench: Bench) -> None:
        slack = SlackTenant(bench, "acme")
        slack.connect()
        in_slack(slack)
        slack.fault("slow", method=slack.listing, seconds=2)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(slack.sync)
            wait_until(lambda: bool(slack.stored(SlackUser.table)))
            self.erase(bench)
            assert running.result().status == "skipped"
        slack.calm()
        slack.reads()
        assert traces(bench, EMAIL, NAME, WORD) == []
        assert len(slack.living) == 7

    def test_a_list_survives_other_keys_and_without_its_key_nothing_is_stored(
        self, bench: Bench, acme: Acme
    ) -> None:
        slack = acme.slack
        self.erase(bench)
        slack.order("post", channel="general", text=f"more {NEWER}", user=acme.ids[0])
        keys = bench.environ["INGEST_ENCRYPTION_KEYS"]
        fresh = new_key()
        bench.configure(INGEST_ENCRYPTION_KEYS=f"{fresh},{keys}")
        assert bench.run("rotate-keys").returncode == 0
        bench.configure(INGEST_ENCRYPTION_KEYS=fresh)
        slack.reads()
        assert traces(bench, EMAIL, NAME, WORD, NEWER) == []
        with bench.engine.connect() as conn, pytest.raises(ProcessFault, match="the list of erased people"):
            load_people(conn, Vault((new_key(),)), "acme")


class TestTheCommands:
    def test_one_workspace_is_erased_and_another_keeps_what_it_has(self, bench: Bench) -> None:
        for name in ("acme", "globex"):
            slack = SlackTenant(bench, name)
            in_slack(slack)
            slack.connected().reads()
        kept = [row for row in traces(bench, WORD) if '"globex"' in row]
        done = bench.run("person", "erase", EMAIL, "--workspace", "acme", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert "raw.slack_messages" in done.stdout
        assert "On the list since" in done.stdout
        assert sorted(traces(bench, WORD)) == sorted(kept) != []
        done = bench.run("person", "erase", EMAIL, stdin="n\n")
        assert (done.returncode, sorted(traces(bench, WORD))) == (130, sorted(kept))
        done = bench.run("person", "erase", EMAIL, stdin="y\n")
        assert (done.returncode, traces(bench, EMAIL, WORD, NAME)) == (0, [])
        later = SlackTenant(bench, "initech")
        in_slack(later)
        later.connected().reads()
        assert traces(bench, EMAIL, WORD, NAME) == []

    def test_whoever_is_not_stored_is_on_the_list_for_what_will_come(self, bench: Bench) -> None:
        slack = SlackTenant(bench, "acme").connected()
        assert bench.run("person", "find", EMAIL).stdout.startswith(
            "Nothing of this person is stored.\nNot found:"
        )
        done = bench.run("person", "erase", EMAIL, "--yes")
        assert done.stdout.startswith("Nothing of this person is stored.\nOn the list since")
        in_slack(slack)  # type: ignore[arg-type]  # it gave itself
        slack.reads()
        assert traces(bench, EMAIL, WORD, NAME) == []

    def test_a_login_of_the_person_is_told_until_it_is_disconnected(self, bench: Bench) -> None:
        gmail = GmailTenant(bench, "acme").connected()
        gmail.add()
        gmail.reads()
        done = bench.run("person", "erase", gmail.vendor_id, "--yes")
        assert done.returncode == 1
        assert f"The gmail account '{gmail.vendor_id}' of workspace acme is the person's own" in done.stdout
        assert bench.run("disconnect", "gmail", "--workspace", "acme", "--yes").returncode == 0
        assert bench.run("person", "erase", gmail.vendor_id, "--yes").returncode == 0
        assert traces(bench, gmail.vendor_id) == []

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["find", "ada"], "That is no mail address"),
            (["erase", EMAIL, "--yes", "--name", "Ada"], "Give a full name"),
            (["find", EMAIL, "--workspace", "nobody"], "There is no workspace 'nobody'"),
        ],
    )
    def test_bad_input_is_told_in_one_sentence(self, bench: Bench, arguments: list[str], sentence: str) -> None:
        done = bench.run("person", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(sentence)

    def test_without_a_key_nobody_is_put_on_the_list(self, bench: Bench) -> None:
        done = bench.run("person", "erase", EMAIL, "--yes", INGEST_ENCRYPTION_KEYS=None)
        assert done.returncode == 2
        assert done.stderr.startswith("INGEST_ENCRYPTION_KEYS is not set")
        assert traces(bench, "suppress") == []


def test_a_workspace_that_is_purged_is_nowhere(bench: Bench) -> None:
    for name in ("acme", "globex"):
        slack, gmail = SlackTenant(bench, name), GmailTenant(bench, name)
        in_slack(slack)
        in_gmail(gmail)
        slack.connected().reads()
        gmail.connected().reads()
        slack.add_malformed()
        slack.reads()
    bench.execute(
        "insert into features.gong_call_features "
        "(workspace_id, external_id, occurred_at, title, state, attempts, version, record_hash, items, dropped) "
        "values ('acme', '1', now(), '', 'ready', 0, '', '', '[]', 0)"
    )
    bench.execute(
        "with one as (insert into ingest.incidents "
        "(cause, subject, severity, since, seen_at, level_at, workspaces, told) "
        "values ('stale', 'slack', 'error', now(), now(), now(), '{acme,globex}', '{acme}') "
        "returning incident_id) insert into ingest.incident_messages "
        "(incident_id, kind, level, receiver, created_at, next_try_at, facts) "
        """select incident_id, 'opened', 1, 'slack', now(), now(), '{"workspaces": ["acme", "globex"]}' from one"""
    )
    others = {(table, row) for table, rows in dump(bench).items() for row in rows if '"acme"' not in row}
    declined = bench.run("workspace", "purge", "acme", stdin="n\n")
    assert declined.returncode == 130
    assert "its 2 accounts" in declined.stderr
    assert bench.run("person", "erase", EMAIL, "--workspace", "acme", "--yes").returncode == 0
    done = bench.run("workspace", "purge", "acme", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "raw.slack_messages" in done.stdout
    assert done.stdout.endswith("Workspace acme is deleted.\n")
    assert traces(bench, '"acme"') == []
    left = {(table, row) for table, rows in dump(bench).items() for row in rows}
    assert left >= {(table, row) for table, row in others if table != "ingest.token_pairs"}
    assert bench.run("workspace", "purge", "acme", "--yes").returncode == 2
