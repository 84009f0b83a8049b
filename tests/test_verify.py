"""`verify` finds what is stored otherwise than the vendor shows it, and raises no false alarm."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ingest_assets.sources import SOURCES
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.source import Source
from ingest_assets.sync.findings import Verified
from ingest_assets.sync.rereading import reread
from ingest_assets.sync.verify import DIFFERS, MISSING, Verifier
from tests.sources.tenants import TENANTS, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

ALL, OLD = 12, 300  # items, and how many hours old the youngest of them is


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    """A workspace that was read, of 12 items within 12 days."""
    source: Source = request.param
    made = TENANTS[source.name](bench, "acme").connected()
    for place in range(ALL):
        made.add(hours_ago=OLD + 24 * place)
    made.reads()
    return made


def verified(tenant: Tenant, sample: int = 200) -> Verified:
    options = tenant.bench.app.options_of(tenant.source)
    verifier = Verifier(tenant.source, tenant.account, options, tenant.bench.worker())
    cost = verifier.cost(sample)
    result = verifier.verify(sample)
    assert result.unverified is None
    assert 0 < result.calls <= cost
    return result


def no_difference(tenant: Tenant) -> Verified:
    result = verified(tenant)
    assert result.findings == []
    return result


def mended(tenant: Tenant, result: Verified) -> None:
    """Read again what the findings name, and find nothing any more."""
    ids = [one.conversation for one in result.findings]
    assert reread(tenant.bench.engine, tenant.account, ids, owner="us", length=timedelta(minutes=1)) is not None
    tenant.reads()
    no_difference(tenant)


class TestEverySource:
    def test_is_calm_where_all_is_well_while_life_goes_on(self, tenant: Tenant) -> None:
        before = tenant.content()
        assert no_difference(tenant).compared >= ALL
        tenant.bench.order(f"{tenant.source.name}/life", **{tenant.key: tenant.vendor_id}, steps=60, seed=3)
        tenant.delete(min(tenant.living))
        result = no_difference(tenant)
        assert result.gone + result.changed > 0
        assert tenant.content() == before  # nothing was written
        tenant.reads()
        no_difference(tenant)

    def test_finds_a_row_that_was_dropped(self, tenant: Tenant) -> None:
        dropped = min(tenant.living)
        tenant.bench.execute(f"delete from {tenant.table} where external_id = :one", one=dropped)
        result = verified(tenant)
        assert [(one.id, one.how) for one in result.findings] == [(dropped, MISSING)]
        mended(tenant, result)
        assert len(tenant.living) == ALL

    def test_finds_what_was_changed_here(self, tenant: Tenant) -> None:
        column = {"slack": "author_id", "gong": "title", "fathom": "title", "gmail": "subject"}[tenant.source.name]
        ids = sorted(tenant.living)
        changes = {
            ids[0]: ("text", "text = coalesce(text, '') || 'x'"),
            ids[1]: ("raw.altered", """raw = raw || '{"altered": 1}'"""),
            ids[2]: (column, f"{column} = coalesce({column}, '') || 'x'"),
            ids[3]: ("occurred_at", "occurred_at = occurred_at + interval '1 second'"),
            ids[4]: ("content_hash", "content_hash = '\\x00'"),
        }
        for one, (_field, change) in changes.items():
            tenant.bench.execute(f"update {tenant.table} set {change} where external_id = :one", one=one)
        result = verified(tenant)
        found = {one.id: (one.how, *one.fields) for one in result.findings if one.table == tenant.table.name}
        expected = {one: (DIFFERS, field) for one, (field, _change) in changes.items()}
        assert found == expected
        mended(tenant, result)

    def test_finds_a_range_that_was_never_read(self, tenant: Tenant) -> None:
        missed = {tenant.add(hours_ago=150 + place) for place in range(5)}  # of days that the cursors cover
        tenant.bench.execute(
            "update ingest.sync_cursors set cursor = jsonb_set(cursor, '{history_id}', '\"99999999\"') "
            "where cursor ? 'history_id'"
        )
        result = verified(tenant)
        found = {one.conversation for one in result.findings if one.how == MISSING}
        assert found >= missed if tenant.source.name == "gmail" else found & missed
        mended(tenant, result)
        assert tenant.living >= missed


def test_a_mail_that_is_missing_in_a_thread_is_found_and_mended(bench: Bench) -> None:
    acme = TENANTS["gmail"](bench, "acme").connected()
    acme.change(acme.add(hours_ago=3))
    acme.reads()
    bench.execute("delete from raw.gmail_messages where occurred_at < now() - interval '2 hours'")
    result = verified(acme)
    assert [(one.table, one.how) for one in result.findings] == [("gmail_messages", MISSING)]
    mended(acme, result)
    assert len(acme.stored(GmailMessage.table)) == 2


def test_a_reply_that_is_missing_is_found_and_mended(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme").connected()
    parent = acme.add(hours_ago=2)
    for place in range(2):
        acme.order(
            "post", channel="general", text=f"reply {place}", thread_ts=parent.partition(":")[2], hours_ago=1
        )
    acme.reads()
    bench.execute("delete from raw.slack_messages where text = 'reply 0'")
    result = verified(acme)
    assert [(one.conversation, one.how) for one in result.findings] == [(parent, MISSING)]
    mended(acme, result)
    assert len(acme.living) == 3


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def acme(self, bench: Bench) -> GongTenant:
        made = GongTenant(bench, "acme")
        made.connect()
        made.add(hours_ago=30)
        made.reads()
        return made

    def test_says_its_cost_and_what_it_found(self, acme: GongTenant, bench: Bench) -> None:
        asks = bench.run("verify", "--workspace", "acme")
        assert (asks.returncode, asks.stdout) == (2, "")
        assert "requests to the vendors, of 1 accounts" in asks.stderr
        assert "pass --yes" in asks.stderr
        assert bench.run("verify", "--workspace", "acme", "--yes").stdout.endswith("requests.\n")
        bench.execute("update raw.gong_calls set title = 'a secret'")
        done = bench.run("verify", "--workspace", "acme", "--yes")
        assert done.returncode == 1
        [call] = acme.rows
        mend = f"ingest-assets reread gong --workspace acme --id {call}"
        assert f"gong_calls {call} (1 calls by id): differs in title; `{mend}` mends it." in done.stdout
        assert "secret" not in done.stdout + done.stderr
        found = json.loads(bench.run("verify", "--workspace", "acme", "--yes", "--json").stdout)
        assert found["accounts"][0]["findings"][0]["fields"] == ["title"]
        assert bench.run(*mend.split()[1:]).returncode == 0
        assert bench.run("sync", "gong", "--workspace", "acme").returncode == 0
        assert bench.run("verify", "--workspace", "acme", "--yes").returncode == 0

    def test_leaves_an_account_alone_that_a_sync_reads(self, bench: Bench) -> None:
        bench.execute("update ingest.accounts set lease_owner = 'a run', lease_until = now() + interval '1 hour'")
        since = bench.requests()
        done = bench.run("verify", "--workspace", "acme", "--yes")
        assert (done.returncode, bench.requests()) == (1, since)
        assert "not verified: a sync reads this account now" in done.stdout
        assert bench.run("reread", "gong", "--workspace", "acme").returncode == 1

    def test_leaves_most_of_the_days_requests_to_syncs(self, bench: Bench) -> None:
        bench.execute("update ingest.syncs set api_calls = 8000")
        since = bench.requests()
        done = bench.run("verify", "--workspace", "acme", "--yes")
        assert (done.returncode, bench.requests()) == (1, since)
        assert "requests of the last 24 hours are spent" in done.stdout
