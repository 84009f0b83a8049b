"""Rows that a vendor shows no more, too many to believe: held for an operator, and nothing marked before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.incidents.look import look
from ingest_assets.sources import SOURCES
from ingest_assets.sources.source import Source
from ingest_assets.storage.coverage import find_coverage
from ingest_assets.storage.decisions import find_held
from ingest_assets.storage.deletion_tables import ACCEPTED, REFUSED, held_deletions
from ingest_assets.storage.held_deletions import HeldRow, hold
from ingest_assets.storage.pruning import delete_removed, prune_history
from ingest_assets.sync.deciding import Step, accepting, decide_on, refusing, review_of, undoing
from tests.sources.tenants import TENANTS, SlackTenant, Tenant
from tests.workbench import Bench

GONE, ALL = 24, 30
A_LOOK = timedelta(days=8)  # after it every source looks again at all that is stored


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def tenant(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    """A workspace of which the vendor no longer shows 24 of 30 rows."""
    source: Source = request.param
    made = TENANTS[source.name](bench, "acme").connected()
    ids = [made.add(hours_ago=200 + place) for place in range(ALL)]
    made.reads()
    for one in ids[:GONE]:
        made.delete(one)
    bench.clock.advance(A_LOOK)
    return made


def trips(tenant: Tenant, rows: int = GONE) -> None:
    result = tenant.sync()
    assert (result.status, result.counts.deleted) == ("failed", 0)
    assert f"shows {rows} of " in str(result.reason)
    assert "`ingest-assets deletions review --workspace acme" in str(result.reason)
    assert (tenant.account.state, tenant.account.error_kind) == ("failing", "deletions_held")


def waiting(tenant: Tenant, decision: str | None = None) -> tuple[str, Sequence[Any]]:
    """Return the number of a review, and what it shows."""
    with tenant.bench.engine.connect() as conn:
        rows = find_held(conn, "acme", decision=decision)
    return review_of(rows) if rows else "", rows


def decide(tenant: Tenant, step: Step, rows: Sequence[Any]) -> None:
    length = timedelta(minutes=1)
    [done] = decide_on(tenant.bench.engine, rows, step, owner="an operator", length=length)
    assert (done.skipped, done.rows) == (None, len(rows))


def states(tenant: Tenant) -> set[str]:
    with tenant.bench.engine.connect() as conn:
        return {row.state for row in find_coverage(conn, "acme")} - {"audited", "left out"}


class TestEverySource:
    def test_accepted_rows_are_marked_and_the_next_sync_goes_on(self, tenant: Tenant) -> None:
        new = tenant.add()
        trips(tenant)
        number, rows = waiting(tenant)
        assert new in tenant.living  # what is new is stored meanwhile
        assert len(tenant.living) == ALL + 1
        trips(tenant)  # once more: nothing twice
        assert waiting(tenant)[0] == number
        assert "held" in states(tenant)
        assert len([row for row in rows if row.table_name == tenant.table.name]) == GONE
        decide(tenant, accepting(number, kept=False), rows)
        assert (tenant.account.state, tenant.account.attempts, tenant.account.reason) == ("active", 0, None)
        assert len(tenant.living) == ALL + 1 - GONE
        assert tenant.reads().counts.deleted == 0
        assert states(tenant) == {"covered"}
        decide(tenant, undoing(number), waiting(tenant, ACCEPTED)[1])
        assert len(tenant.living) == ALL + 1
        assert tenant.reads().counts.deleted == 0  # nor marked by the next sync

    def test_refused_rows_are_kept_and_a_small_deletion_is_still_marked(self, tenant: Tenant) -> None:
        trips(tenant)
        number, rows = waiting(tenant)
        decide(tenant, refusing(number), rows)
        tenant.delete(min(tenant.living - {row.external_id for row in rows}))
        tenant.bench.clock.advance(A_LOOK)
        assert tenant.reads().counts.deleted == 1
        assert tenant.reads().counts.deleted == 0
        assert len(tenant.living) == ALL - 1
        assert states(tenant) == {"covered", "kept"}
        number, rows = waiting(tenant, REFUSED)
        decide(tenant, accepting(number, kept=True), rows)  # afterwards it may be accepted all the same
        assert len(tenant.living) == ALL - GONE - 1
        assert tenant.reads().counts.deleted == 0

    @pytest.mark.parametrize("refused", [False, True], ids=["waiting", "kept"])
    def test_rows_that_the_vendor_shows_again_are_held_no_more(self, tenant: Tenant, *, refused: bool) -> None:
        trips(tenant)
        number, rows = waiting(tenant)
        if refused:
            decide(tenant, refusing(number), rows)
            tenant.bench.clock.advance(A_LOOK)
        tenant.restore({row.external_id for row in rows if row.table_name == tenant.table.name})
        assert tenant.reads().counts.deleted == 0
        assert tenant.stored(held_deletions) == []
        assert len(tenant.living) == ALL


@pytest.fixture
def acme(bench: Bench) -> SlackTenant:
    return SlackTenant(bench, "acme")


def in_channels(acme: SlackTenant, counts: dict[str, int]) -> dict[str, list[str]]:
    for name in counts:
        if name != "general":
            acme.order("channel", name=name)
    acme.connect()
    said = {
        name: [
            acme.order("post", channel=name, text=f"secret {place}", hours_ago=3)["ts"] for place in range(count)
        ]
        for name, count in counts.items()
    }
    acme.reads()
    return said


def reviewed(bench: Bench, *arguments: str) -> dict[str, Any]:
    done = bench.run("deletions", "review", "--workspace", "acme", "--json", *arguments)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    waits = bool(found["parts"]) and "--kept" not in arguments
    assert done.returncode == (1 if waits else 0)
    return found


def decides(bench: Bench, verb: str, review: str, *arguments: str) -> str:
    done = bench.run("deletions", verb, "--workspace", "acme", "--review", review, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


class TestOfSeveralParts:
    def test_what_was_marked_before_it_was_too_much_is_held_too_and_shown_by_part(
        self, acme: SlackTenant, bench: Bench
    ) -> None:
        said = in_channels(acme, {"general": 15, "deals": 15, "quiet": 30})
        for name in ("general", "deals"):
            for ts in said[name]:
                acme.order("delete", channel=name, ts=ts)
        trips(acme, 30)
        assert len(acme.living) == 60
        look(bench.engine, bench.app.core, bench.app.alerts, datetime.now(UTC), [])
        [incident] = json.loads(bench.run("incidents", "--json").stdout)
        assert incident["cause"] == "deletions_held"
        assert incident["command"] == "ingest-assets deletions review --workspace acme --source slack"
        found = reviewed(bench)
        assert {part["part"]: part["rows"] for part in found["parts"]} == {"#general": 15, "#deals": 15}
        plain = bench.run("deletions", "review", "--workspace", "acme")
        assert "secret" not in plain.stdout
        assert f"accept --workspace acme --review {found['review']}`" in plain.stdout
        assert "secret 3" in bench.run("deletions", "review", "--workspace", "acme", "--show-text").stdout

    def test_what_came_in_after_a_review_is_no_part_of_it(self, acme: SlackTenant, bench: Bench) -> None:
        said = in_channels(acme, {"general": 60})["general"]
        for ts in said[:25]:
            acme.order("delete", channel="general", ts=ts)
        trips(acme, 25)
        review = reviewed(bench)["review"]
        acme.order("delete", channel="general", ts=said[25])
        trips(acme, 26)
        decides(bench, "accept", review)
        assert len(acme.living) == 35
        assert acme.account.state == "failing"  # one still waits
        decides(bench, "refuse", reviewed(bench)["review"])
        acme.reads()
        assert len(acme.living) == 35

    def test_a_review_of_which_rows_were_shown_again_is_void(self, acme: SlackTenant, bench: Bench) -> None:
        said = in_channels(acme, {"general": 60})["general"]
        for ts in said[:25]:
            acme.order("delete", channel="general", ts=ts)
        trips(acme, 25)
        review = reviewed(bench)["review"]
        acme.restore([f"{acme.channel}:{said[0]}"])
        trips(acme, 24)
        for number in (review, "7", "7-nothing", "x"):
            done = bench.run("deletions", "accept", "--workspace", "acme", "--review", number)
            assert done.returncode == 2
            assert f"no longer those of review {number}: look again" in done.stderr
        assert len(acme.living) == 60

    def test_rows_that_slack_flags_as_deleted_are_held_as_they_were(self, acme: SlackTenant, bench: Bench) -> None:
        parents = in_channels(acme, {"general": 30})["general"]
        for ts in parents:  # a thread whose parent is deleted keeps it as a tombstone
            acme.order("post", channel="general", text="a reply", thread_ts=ts)
        acme.reads()
        for ts in parents:
            acme.order("delete", channel="general", ts=ts)
        trips(acme, 30)
        assert {row.text for row in acme.rows.values()} >= {"secret 0", "a reply"}
        [part] = reviewed(bench)["parts"]
        assert (part["rows"], part["flagged"]) == (30, 30)
        decides(bench, "refuse", reviewed(bench)["review"])
        acme.reads()
        assert len(acme.living) == 60
        told = f"30 rows that the vendor no longer shows are kept, as {datetime.now(UTC):%Y-%m-%d} decided"
        assert told in bench.run("status").stdout
        review = reviewed(bench, "--kept")["review"]
        done = decides(bench, "accept", review, "--kept")
        assert f"`ingest-assets deletions undo --workspace acme --review {review}` takes it back." in done
        acme.reads()
        assert len(acme.living) == 30
        assert acme.rows[f"{acme.channel}:{parents[0]}"].text is None
        assert "30 rows living again, and kept" in decides(bench, "undo", review)


def test_an_account_that_a_run_reads_or_that_is_gone_is_left_alone(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme")
    for ts in in_channels(acme, {"general": 30})["general"]:
        acme.order("delete", channel="general", ts=ts)
    trips(acme, 30)
    review = reviewed(bench)["review"]
    with bench.engine.begin() as conn:  # a page that misses a row twice holds it once
        twice = [HeldRow(acme.table, row.external_id) for row in acme.stored(held_deletions)] * 2
        hold(conn, acme.account.account_id, "acme", "#general", twice)
    assert reviewed(bench)["review"] == review
    bench.execute("update ingest.accounts set lease_owner = 'a run', lease_until = now() + interval '1 hour'")
    done = bench.run("deletions", "accept", "--workspace", "acme", "--review", review)
    assert done.returncode == 1
    assert "0 rows marked as deleted; another run reads this account" in done.stdout
    bench.run("disconnect", "slack", "--workspace", "acme", "--yes")
    assert reviewed(bench)["parts"] == []
    acme.connect()
    assert reviewed(bench)["review"] == review
    decides(bench, "accept", review)
    done = bench.run("deletions", "undo", "--workspace", "acme", "--review", "1-nothing")
    assert (done.returncode, done.stderr) == (2, "No row is there that was marked by review 1-nothing.\n")
    list(prune_history(bench.engine, datetime.now(UTC) + timedelta(days=1)))
    assert acme.stored(held_deletions) == []  # what was accepted is undone for as long as history is kept
    bench.execute(
        "insert into ingest.held_deletions (account_id, table_name, external_id, workspace_id, part, flagged)"
        " select account_id, 'slack_messages', 'C1:1', 'acme', '#general', false from ingest.accounts"
    )
    acme.reads()  # a row that is not stored any more is not waited for
    bench.run("remove", "acme", "--yes")
    list(delete_removed(bench.engine, datetime.now(UTC) + timedelta(days=1)))
    assert acme.stored(held_deletions) == []
