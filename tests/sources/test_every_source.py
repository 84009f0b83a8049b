"""What every source must do, whichever vendor it reads. A new source is one more entry in `TENANTS`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from ingest_assets.sources import SOURCES
from ingest_assets.sync.pool import sync_workspaces
from tests.sources.tenants import TENANTS, Tenant
from tests.workbench import Bench

Found = Callable[..., Tenant]


@pytest.fixture(params=[source.name for source in SOURCES])
def found(request: pytest.FixtureRequest, bench: Bench) -> Found:
    """Make a customer of the vendor under test, not connected yet."""
    return lambda name="acme": TENANTS[request.param](bench, name)


@pytest.fixture
def acme(found: Found) -> Tenant:
    """A connected customer with seven items, on three pages where a page holds three."""
    tenant = found("acme")
    for place in range(7):
        tenant.add(hours_ago=1 + place)
    return tenant.connected()


def crash_at(tenant: Tenant, write: int) -> None:
    """Let PostgreSQL end our session at the n-th write of items, as if the machine had died."""
    tenant.bench.execute("create sequence if not exists crashes")
    tenant.bench.execute(
        f"create or replace function crash() returns trigger language plpgsql as $$ begin "
        f"if nextval('crashes') = {write} then perform pg_terminate_backend(pg_backend_pid()); end if; "
        "return null; end $$"
    )
    tenant.bench.execute(
        f"create trigger crash after insert on {tenant.table.fullname} for each statement execute function crash()"
    )


def mend(tenant: Tenant) -> None:
    tenant.bench.execute(f"drop trigger crash on {tenant.table.fullname}")
    tenant.bench.execute("drop sequence crashes")


class TestReading:
    def test_finds_everything(self, acme: Tenant) -> None:
        result = acme.reads()
        assert (result.counts.new, len(acme.living)) == (7, 7)

    def test_again_changes_nothing(self, acme: Tenant) -> None:
        acme.reads()
        acme.reads()  # some lists of names come with the second sync
        before = acme.content()
        result = acme.reads()
        counts = result.counts
        assert (counts.new, counts.changed, counts.deleted, counts.rejected) == (0, 0, 0, 0)
        assert acme.content() == before

    def test_all_of_it_again_changes_nothing_either(self, acme: Tenant) -> None:
        acme.reads()
        before = acme.content()
        acme.forget_cursors()
        counts = acme.reads().counts
        assert (counts.new, counts.changed, counts.deleted) == (0, 0, 0)
        assert acme.content() == before

    def test_finds_what_is_new(self, acme: Tenant) -> None:
        acme.reads()
        new = acme.add(hours_ago=0.01)
        assert acme.reads().counts.new == 1
        assert new in acme.living

    def test_finds_a_change(self, acme: Tenant) -> None:
        changed = acme.add(hours_ago=0.2)
        acme.reads()
        before = acme.rows[changed]
        acme.change(changed)
        assert acme.reads().counts.changed >= 1
        after = acme.rows[changed]
        assert after.content_hash != before.content_hash
        assert after.first_seen_at == before.first_seen_at

    def test_sees_a_deletion(self, acme: Tenant) -> None:
        deleted = acme.add(hours_ago=0.2)
        acme.reads()
        acme.delete(deleted)
        assert acme.reads().counts.deleted == 1
        assert deleted not in acme.living
        assert acme.rows[deleted].deleted_at is not None

    def test_loses_nothing_that_comes_while_it_reads(self, acme: Tenant) -> None:
        acme.fault("slow", method=acme.listing, seconds=0.5)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(acme.sync)
            meanwhile = acme.add(hours_ago=0)
            assert running.result().status == "success"
        acme.calm()
        acme.reads()
        assert meanwhile in acme.living

    def test_stores_times_in_utc_and_ids_as_text(self, acme: Tenant) -> None:
        acme.reads()
        for row in acme.rows.values():
            assert isinstance(row.external_id, str)
            assert row.occurred_at.utcoffset().total_seconds() == 0
            assert row.text


class TestCrashes:
    def test_at_any_page_cost_nothing(self, acme: Tenant, found: Found) -> None:
        control = found("control")
        for place in range(7):
            control.add(hours_ago=1 + place)
        control.connected().reads()
        crashed = 0
        for write in range(1, 20):
            crash_at(acme, write)
            try:
                acme.sync()
            except OperationalError:
                crashed += 1
            else:
                break
            finally:
                mend(acme)
            acme.bench.execute("update ingest.accounts set lease_until = null, lease_owner = null")
        assert crashed >= 1
        assert len(acme.living) == len(control.living) == 7
        assert not acme.rejected
        before = acme.content()
        acme.reads()
        assert acme.content() == before

    def test_at_any_request_cost_nothing(self, acme: Tenant) -> None:
        for skip in range(8):
            acme.fault("status", status=500, skip=skip, times=-1)
            acme.sync()
            acme.calm()
        acme.reads()
        assert len(acme.living) == 7

    def test_two_runs_at_once_write_once(self, acme: Tenant) -> None:
        acme.bench.order("latency", seconds=0.05)
        row = acme.account
        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(
                result.status for result in pool.map(lambda owner: acme.sync(row, owner=owner), ["one", "another"])
            )
        assert statuses == ["skipped", "success"]
        assert len(acme.living) == 7


class TestRefusals:
    def test_of_a_credential_ask_for_a_new_one(self, acme: Tenant) -> None:
        acme.reads()
        acme.revoke()
        result = acme.sync()
        assert (result.status, acme.account.state) == ("failed", "needs_reconnect")
        assert result.error is not None
        assert result.error.kind == "credential_rejected"
        acme.revoke(revoked=False)
        acme.connect()
        acme.add(hours_ago=0.01)
        assert acme.reads().counts.new == 1

    def test_of_one_workspace_do_not_touch_another(self, acme: Tenant, found: Found, bench: Bench) -> None:
        globex = found("globex")
        globex.add()
        globex.connected()
        acme.revoke()
        options = bench.app.options_of(acme.source)
        results = dict(sync_workspaces(acme.source, ["acme", "globex"], options, bench.worker()))
        assert [result.status for result in results["acme"]] == ["failed"]
        assert [result.status for result in results["globex"]] == ["success"]
        assert len(globex.living) == 1

    def test_tell_no_secret(self, acme: Tenant) -> None:
        acme.revoke()
        result = acme.sync()
        told = f"{result.reason} {result.error!r} {result.as_json()}"
        assert not [secret for secret in acme.secrets.values() if secret in told]

    def test_are_told_at_once_when_connecting(self, found: Found) -> None:
        tenant = found("acme")
        tenant.revoke()
        with pytest.raises(Exception, match=r"^[A-Z].*\.$") as refusal:
            tenant.connect()
        assert not [secret for secret in tenant.secrets.values() if secret in str(refusal.value)]


class TestMalformedItems:
    def test_are_set_aside_and_stored_once_they_are_well(self, acme: Tenant) -> None:
        odd = acme.add_malformed()
        result = acme.reads()
        assert (result.counts.rejected, len(acme.living)) == (1, 7)
        [kept] = acme.rejected
        assert kept.payload is not None
        assert "soon" not in kept.error
        acme.heal(odd)
        acme.reads()
        assert odd in acme.living
        assert not acme.rejected

    def test_many_of_them_fail_the_sync(self, acme: Tenant) -> None:
        for _ in range(12):
            acme.add_malformed()
        result = acme.sync()
        assert result.status == "failed"
        assert "could not be parsed" in str(result.reason)
        assert len(acme.living) == 7


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "ratelimit", "retry_after": 2},
            {"kind": "status", "status": 500},
            {"kind": "status", "status": 503},
            {"kind": "truncate"},
            {"kind": "drop"},
            {"kind": "html", "status": 200},
            {"kind": "html", "status": 502},
        ],
        ids=["429", "500", "503", "truncated", "dropped", "html", "html-502"],
    )
    def test_that_pass_are_waited_out(self, acme: Tenant, fault: dict[str, Any]) -> None:
        acme.fault(method=acme.listing, **fault)
        acme.reads()
        assert len(acme.living) == 7

    def test_that_stay_are_retried_later(self, acme: Tenant) -> None:
        acme.fault("status", status=503, times=-1)
        result = acme.sync()
        assert result.status == "failed"
        assert result.error is not None
        assert result.error.kind == "transient"
        assert acme.account.due_at is not None
        acme.calm()
        acme.reads()

    def test_a_long_pause_is_not_waited_for(self, acme: Tenant) -> None:
        acme.fault("ratelimit", retry_after=3600, times=-1)
        acme.sync()
        assert sum(acme.bench.clock.pauses) < 3600
        assert acme.account.due_at is not None

    def test_a_page_cursor_that_died_is_begun_anew(self, acme: Tenant) -> None:
        acme.fault("invalid_cursor", method=acme.listing, only_with_cursor=True)
        acme.reads()
        assert len(acme.living) == 7

    def test_a_page_cursor_that_repeats_ends_the_sync(self, acme: Tenant) -> None:
        acme.fault("repeat_cursor", method=acme.listing, times=-1)
        result = acme.sync()
        assert result.status in {"failed", "partial"}
        assert "repeats" in f"{result.reason} {[part.action for part in result.unreadable]}"
        acme.calm()
        acme.reads()
        assert len(acme.living) == 7

    def test_a_page_that_is_no_page_is_told(self, acme: Tenant) -> None:
        acme.fault("garbage_page", method=acme.listing)
        result = acme.sync()
        assert result.status in {"failed", "partial"}
        assert "oops" not in f"{result.reason} {result.unreadable}"
        acme.reads()
        assert len(acme.living) == 7


@pytest.mark.parametrize("found", ["gong", "fathom"], indirect=True)
class TestAPageCursorWhoseDeathHasNoDocumentedStatus:
    @pytest.mark.parametrize("status", [400, 404, 410])
    def test_begins_the_window_anew(self, acme: Tenant, status: int) -> None:
        acme.fault("invalid_cursor", method=acme.listing, status=status, only_with_cursor=True)
        acme.reads()
        assert len(acme.living) == 7

    def test_ends_the_sync_when_it_dies_again_and_again(self, acme: Tenant) -> None:
        acme.fault("invalid_cursor", method=acme.listing, status=410, only_with_cursor=True, times=-1)
        result = acme.sync()
        assert (result.status, acme.account.state) == ("failed", "active")
        assert result.calls[acme.listing] <= 6
        assert acme.account.due_at is not None
