"""What real syncs leave behind is what incidents are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.incidents.crowd import Crowd
from tests.workbench import Bench


def test_a_vendor_that_is_down_for_all_and_comes_back(bench: Bench) -> None:
    workspaces = [bench.workspace(name, "general") for name in ("acme", "globex", "initech")]
    for workspace in workspaces:
        workspace.reads()
    crowd = Crowd(bench.engine, now=datetime.now(UTC))
    crowd.look()
    for workspace in workspaces:
        workspace.fault("error", error="fatal_error", times=-1)
        assert workspace.sync().status == "failed"
    since = [workspace.account.error_since for workspace in workspaces]
    assert workspaces[0].sync().status == "failed"
    assert [workspace.account.error_since for workspace in workspaces] == since
    crowd.passes(16)
    assert crowd.open() == {("vendor_down", "slack"): 3}
    [row] = crowd.rows("select since from ingest.incidents")
    assert row.since == min(since)
    workspaces[0].heal()
    for workspace in workspaces:
        workspace.reads()
        assert (workspace.account.error_kind, workspace.account.error_since) == (None, None)
    crowd.passes(6)
    assert crowd.open() == {}


def test_one_customer_of_three_whose_vendor_fails_is_not_an_outage(bench: Bench) -> None:
    acme, *others = (bench.workspace(name, "general") for name in ("acme", "globex", "initech"))
    acme.fault("error", error="fatal_error", times=-1)
    assert acme.sync().status == "failed"
    for workspace in others:
        workspace.reads()
    crowd = Crowd(bench.engine, now=datetime.now(UTC) + timedelta(minutes=1))
    crowd.passes(30)
    assert crowd.open() == {}


def test_a_login_that_is_connected_again_ends_the_incident(bench: Bench) -> None:
    acme = bench.workspace("acme", "general")
    acme.fault("error", error="token_revoked", times=-1)
    acme.sync()
    crowd = Crowd(bench.engine, now=datetime.now(UTC))
    crowd.passes(1)
    assert crowd.open() == {("login_refused", "slack"): 1}
    acme.heal()
    bench.connect(acme)
    assert acme.account.error_kind is None
    crowd.passes(6)
    assert crowd.open() == {}
