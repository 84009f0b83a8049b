"""What was set aside is parsed again from what is kept of it, without a request; nothing stored is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.sources import SOURCES
from ingest_assets.sources.source import Source
from ingest_assets.storage.account_leases import take_lease
from ingest_assets.storage.rejected import find_rejected
from ingest_assets.storage.schema import rejected_records, unreadable_parts
from ingest_assets.storage.vault import Vault
from ingest_assets.sync.replay import replay_all
from tests.proof.operations import MENDED
from tests.sources.tenants import TENANTS, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    """A workspace of which one item is set aside, and another is stored."""
    source: Source = request.param
    made = TENANTS[source.name](bench, "acme").connected()
    made.add()
    made.add_malformed()
    made.reads()
    assert len(made.rejected) > 0
    return made


def mend(tenant: Tenant) -> None:
    tenant.bench.execute(f"update ingest.rejected_records set payload = {MENDED[tenant.source.name]}")


class TestReplay:
    def test_stores_what_can_be_parsed_now_and_asks_nobody(self, tenant: Tenant) -> None:
        keys = {row.item_key for row in tenant.rejected}
        mend(tenant)
        since = tenant.bench.requests()
        done = tenant.bench.run("rejected", "replay", "--workspace", "acme")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{len(keys)} stored, 0 remain" in done.stdout
        assert tenant.bench.requests() == since
        assert tenant.rejected == []
        main = tenant.source.main.table
        assert keys <= {row.external_id for row in tenant.stored(main) if row.deleted_at is None}

    def test_keeps_what_still_cannot_be_parsed_and_says_why(self, tenant: Tenant) -> None:
        before = [(row.item_key, row.payload, row.first_seen_at) for row in tenant.rejected]
        done = tenant.bench.run("rejected", "replay", "--all")
        assert done.returncode == 1
        assert f"0 stored, {len(before)} remain" in done.stdout
        assert [(row.item_key, row.payload, row.first_seen_at) for row in tenant.rejected] == before
        assert all(f"{row.item_key}: {row.error}" in done.stdout for row in tenant.rejected)

    def test_is_done_by_itself_at_night(self, tenant: Tenant) -> None:
        mend(tenant)
        done = list(
            replay_all(tenant.bench.engine, SOURCES, lambda: True, owner="a night", length=MINUTE, vault=Vault())
        )
        assert sum(one.stored for one in done) > 0
        assert tenant.rejected == []
        assert tenant.account.lease_until is None


def test_an_account_that_takes_the_time_of_a_night_keeps_no_other_waiting_for_ever(bench: Bench) -> None:
    for name in ("acme", "globex"):
        tenant = SlackTenant(bench, name).connected()
        tenant.add_malformed()
        tenant.reads()
    bench.execute(f"update ingest.rejected_records set payload = {MENDED['slack']} where workspace_id = 'globex'")

    def night() -> None:
        turns = iter([True])  # the time is over after one account
        list(
            replay_all(
                bench.engine, SOURCES, lambda: next(turns, False), owner="a night", length=MINUTE, vault=Vault()
            )
        )

    for _ in range(40):  # in vain once in 10^12
        night()
    with bench.engine.connect() as conn:
        assert [row.workspace_id for row in find_rejected(conn)] == ["acme"]


def test_an_account_that_a_run_reads_is_left_alone(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme").connected()
    acme.add_malformed()
    acme.reads()
    mend(acme)
    with bench.engine.begin() as conn:
        length = timedelta(minutes=5)
        account_id, now = acme.account.account_id, bench.clock.now()
        assert take_lease(conn, account_id, "a run", length, now=now, reservation=None) is not None
    done = bench.run("rejected", "replay", "--all")
    assert done.returncode == 1
    assert "another run reads this account" in done.stdout
    assert len(acme.rejected) == 1


def test_a_row_that_postgresql_refuses_stays(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme").connected()
    acme.add_malformed()
    acme.reads()
    mend(acme)
    bench.execute("alter table raw.slack_messages add constraint mine check (text <> 'odd')")
    done = bench.run("rejected", "replay", "--all")
    assert (done.returncode, len(acme.rejected)) == (1, 1)
    assert "check_violation" in done.stdout or "constraint" in done.stdout
    bench.execute("alter table raw.slack_messages drop constraint mine")
    assert bench.run("rejected", "replay", "--all").returncode == 0


def test_the_thread_of_a_message_that_was_set_aside_is_read_by_the_next_sync(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme").connected()
    parent = acme.add_malformed()
    ts = parent.partition(":")[2]
    acme.order("post", channel="general", text="a reply", thread_ts=ts)
    acme.reads()
    assert "a reply" not in {row.text for row in acme.rows.values()}
    mend(acme)
    assert bench.run("rejected", "replay", "--all").returncode == 0
    [part] = acme.stored(unreadable_parts)
    assert part.part == parent
    acme.change(parent)  # the vendor sends it well-formed now
    acme.reads()
    assert "a reply" in {row.text for row in acme.rows.values()}
    assert acme.stored(unreadable_parts) == []


def test_a_transcript_that_is_stored_survives_the_replay_of_a_newer_call(bench: Bench) -> None:
    acme = GongTenant(bench, "acme").connected()
    call = acme.add()
    acme.reads()
    [before] = [row for row in acme.rows.values() if row.external_id == call]
    assert before.text
    payload = json.dumps({key: value for key, value in before.raw.items() if key != "transcript"})
    insert = (
        "insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload, error) "
        "values (:account, 'gong_calls', :key, 'acme', cast(:payload as jsonb), '')"
    )
    bench.execute(insert, account=acme.account.account_id, key=call, payload=payload)
    assert bench.run("rejected", "replay", "--all").returncode == 0
    assert acme.rows[call].text == before.text


class TestTheCommands:
    def listed(self, bench: Bench, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(bench.run("rejected", "list", "--json", *arguments).stdout)
        return found

    def test_list_show_and_discard(self, bench: Bench) -> None:
        acme = SlackTenant(bench, "acme").connected()
        item = acme.add_malformed()
        acme.reads()
        [entry] = self.listed(bench, "--workspace", "acme")
        assert (entry["item"], entry["table"], entry["source"]) == (item, "slack_messages", "slack")
        assert self.listed(bench, "--source", "gong") == []
        shown = json.loads(bench.run("rejected", "show", item, "--workspace", "acme").stdout)
        assert shown[0]["item"]["text"] == "odd"
        plain = bench.run("rejected", "list").stdout
        assert item in plain
        assert "odd" not in plain
        done = bench.run("rejected", "discard", item, "--workspace", "acme")
        assert (done.returncode, done.stdout) == (0, "1 discarded.\n")
        assert acme.stored(rejected_records) == []

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["list", "--workspace", "nobody"], "There is no workspace 'nobody'"),
            (["show", "C1:1.2", "--workspace", "acme"], "No item C1:1.2 is set aside"),
            (["replay"], "Pass --workspace NAME, or --all."),
            (["replay", "--all", "--workspace", "acme"], "Pass --workspace NAME, or --all."),
            (["discard", "C1:1.2", "--workspace", "acme"], "No item C1:1.2 is set aside"),
        ],
    )
    def test_what_is_not_there_is_told_in_one_sentence(
        self, bench: Bench, arguments: list[str], sentence: str
    ) -> None:
        SlackTenant(bench, "acme").connected()
        done = bench.run("rejected", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(sentence)

    def test_where_nothing_is_set_aside(self, bench: Bench) -> None:
        SlackTenant(bench, "acme").connected()
        done = bench.run("rejected", "replay", "--all")
        assert (done.returncode, done.stdout) == (0, "Nothing is set aside.\n")
