"""What is older than it is kept is deleted, does not come back, and is no gap."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.schedules.expiring import delete_old
from ingest_assets.sources import SOURCES
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.retention import cut
from ingest_assets.sources.source import Source
from ingest_assets.storage import retention
from tests.sources.tenants import TENANTS, GmailTenant, GongTenant, Tenant
from tests.workbench import Bench

OLD, YOUNG = 10 * 24, 2 * 24  # hours
KEPT = "7"  # days


def night(bench: Bench) -> int:
    """Delete what is too old; return how many rows that were."""
    told: list[Any] = []
    delete_old(bench.engine, bench.app.options_of, bench.clock.now(), lambda *line: told.append(line))
    return sum(line[2] for line in told)


def keep(bench: Bench, days: str, *sources: str) -> None:
    bench.configure(**{f"{name.upper()}_KEEP_DAYS": days for name in sources or TENANTS})
    bench.options = bench.app.options_of(SOURCES[0])


def one(bench: Bench, query: str) -> Any:
    with bench.engine.connect() as conn:
        return conn.execute(text(query)).scalar_one()


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    source: Source = request.param
    return TENANTS[source.name](bench, "acme").connected()


def test_what_is_too_old_goes_with_its_versions_and_comes_back_only_when_it_may(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = tenant.bench
    old, young = [tenant.add(hours_ago=OLD + place) for place in range(5)], tenant.add(hours_ago=YOUNG)
    tenant.reads()
    bench.execute(f"update {tenant.table} set raw = raw || '{{\"seen\": true}}', updated_at = now()")
    assert one(bench, "select count(*) from raw.versions") == 6
    assert night(bench) == 0

    keep(bench, KEPT)
    monkeypatch.setattr(retention, "CHUNK", 2)
    rows = night(bench)
    assert rows == (10 if isinstance(tenant, GmailTenant) else 5)  # threads and mail
    assert set(tenant.rows) == {young}
    assert one(bench, "select count(*) from raw.versions") == 1
    assert night(bench) == 0
    keep(bench, "")
    tenant.reads()
    assert set(tenant.rows) == {young, *old}  # they are within the history, and count as never read
    keep(bench, KEPT)
    assert night(bench) == rows
    tenant.reads()
    since = f"{bench.clock.now() - timedelta(days=25):%Y-%m-%d}"
    done = bench.run("coverage", "--workspace", "acme", "--from", since, "--json")
    states = {entry["state"] for entry in json.loads(done.stdout)["coverage"]} - {"left out", "audited"}
    assert (done.returncode, states) == (0, {"covered", "outside retention"})

    for days in (0, 1, 8):  # a look at what is new, a daily and a weekly one
        bench.clock.advance(timedelta(days=days))
        result = tenant.reads()
        assert (result.counts.deleted, set(tenant.rows)) == (0, {young})


def test_an_account_of_which_everything_is_too_old_goes_on_with_what_is_new(tenant: Tenant) -> None:
    bench = tenant.bench
    for place in range(25):  # more than the breaker tolerates
        tenant.add(hours_ago=OLD + place)
    tenant.reads()
    keep(bench, KEPT)
    assert night(bench) >= 25
    assert tenant.rows == {}
    assert tenant.reads().counts.deleted == 0
    new = tenant.add()
    tenant.reads()
    assert set(tenant.rows) == {new}
    assert bench.run("coverage", "--workspace", "acme").returncode == 0


def test_a_reply_stays_where_its_thread_began_too_long_ago_and_costs_no_request(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    parent = acme.say("general", "a question", hours_ago=OLD)
    reply = acme.say("general", "an answer", thread_ts=parent, hours_ago=YOUNG)
    acme.reads()
    keep(bench, KEPT, "slack")
    assert night(bench) == 1
    assert set(acme.rows) == {reply}
    shouted = acme.say("general", "for all", thread_ts=parent, hours_ago=1, broadcast=True)
    acme.say("general", "another answer", thread_ts=parent, hours_ago=1)
    since = bench.requests()
    for _ in range(2):
        acme.reads()
    assert set(acme.rows) == {reply, shouted}
    assert "conversations.replies" not in acme.calls(since=since)


def test_a_thread_that_could_not_be_read_is_no_gap_once_it_is_too_old(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    parent = acme.say("general", "a question", hours_ago=OLD)
    acme.say("general", "an answer", thread_ts=parent, hours_ago=OLD - 1)
    acme.fault("error", method="conversations.replies", error="thread_not_found", times=-1)
    assert acme.sync().status == "partial"
    keep(bench, KEPT, "slack")
    night(bench)
    acme.reads()
    assert acme.unreadable == {}


def test_a_mail_stays_as_long_as_its_thread(bench: Bench) -> None:
    acme = GmailTenant(bench, "acme")
    acme.connect()
    thread = acme.message(text="The first", hours_ago=OLD)["thread"]
    acme.message(thread=thread, text="The second", hours_ago=YOUNG)
    old = acme.add(hours_ago=OLD)
    keep(bench, KEPT, "gmail")
    acme.reads()
    imported = acme.add(hours_ago=OLD)  # which the mailbox's history tells of
    assert acme.reads().left_out == {"older than is kept": 2}
    assert not {old, imported} & set(acme.rows)
    assert len(acme.stored(GmailMessage.table)) == 2
    assert night(bench) == 0
    bench.clock.advance(timedelta(days=6))
    assert night(bench) == 3
    assert acme.stored(GmailMessage.table) == []


def test_features_and_rejected_items_go_with_their_rows_and_an_account_may_choose(bench: Bench) -> None:
    acme = GongTenant(bench, "acme")
    acme.connect(keep_days=7)
    globex = GongTenant(bench, "globex")
    globex.connect()
    calls = [company.add(hours_ago=hours) for company in (acme, globex) for hours in (OLD, YOUNG)]
    globex.reads()
    acme.bench.execute("update ingest.accounts set settings = settings - 'keep_days'")
    acme.reads()
    acme.bench.execute(
        "update ingest.accounts set settings = settings || '{\"keep_days\": 7}' where workspace_id = 'acme'"
    )
    bench.execute(
        "insert into features.gong_call_features (workspace_id, external_id, occurred_at, title, state, attempts,"
        " version, record_hash, items, dropped) select workspace_id, external_id, occurred_at, '', 'ready', 0, '',"
        " '', '[]', 0 from raw.gong_calls"
    )
    bench.execute(
        "insert into ingest.rejected_records (account_id, table_name, item_key, workspace_id, payload, error,"
        " last_seen_at) select account_id, 'gong_calls', external_id, workspace_id, '{}'::jsonb, 'x', now() from"
        " raw.gong_calls union all select account_id, 'gong_calls', 'undated', workspace_id, '{}', 'x',"
        " now() - interval '8 days' from ingest.accounts"
    )
    night(bench)
    left = "select array_agg({}) from {}"
    assert set(one(bench, left.format("external_id", "features.gong_call_features"))) == set(calls[1:])
    items = set(one(bench, left.format("workspace_id || ' ' || item_key", "ingest.rejected_records")))
    assert items == {f"acme {calls[1]}", *(f"globex {item}" for item in (*calls[2:], "undated"))}
    assert (set(acme.rows), set(globex.rows)) == ({calls[1]}, set(calls[2:]))


def test_a_retention_that_is_shorter_than_the_history_says_so(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    acme.say("general", "hello")
    told = bench.run("sync", "slack", "--workspace", "acme", SLACK_KEEP_DAYS="7").stderr
    assert told == (
        "SLACK_KEEP_DAYS (7) is less than SLACK_HISTORY_DAYS (30): of Slack no more than 7 days are read.\n"
    )
    assert bench.run("sync", "slack", "--workspace", "acme", SLACK_KEEP_DAYS="31").stderr == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"asked_at": {}}, {"asked_at": {}}),
        ({"covered_from": "1700000000.000000"}, {"covered_from": "1764115200.000000"}),
        ({"covered_from": "1764115200.000001"}, {"covered_from": "1764115200.000001"}),
        (
            {
                "covered_from": "2025-11-01T00:00:00Z",
                "covered_to": "2025-11-27T00:00:00Z",
                "unread": [
                    {"since": "2025-11-01T00:00:00Z", "until": "2025-11-02T00:00:00Z"},
                    {"since": "2025-11-03T00:00:00Z", "until": "2025-11-27T00:00:00Z"},
                ],
            },
            {
                "covered_from": "2025-11-26T00:00:00+00:00",
                "covered_to": "2025-11-27T00:00:00Z",
                "unread": [{"since": "2025-11-26T00:00:00+00:00", "until": "2025-11-27T00:00:00Z"}],
            },
        ),
    ],
)
def test_a_cursor_takes_back_what_is_too_old(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert cut(before, datetime(2025, 11, 26, tzinfo=UTC)) == after
