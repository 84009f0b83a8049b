"""Refresh tokens that work once: stored before they are used, refreshed once by however many workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from ingest_assets.app import App
from ingest_assets.errors import IngestError, Transient
from ingest_assets.sources.concurrency import ahead
from ingest_assets.sources.in_flight import LAST_ANSWERS
from ingest_assets.sources.login import Clock, TokenPair
from ingest_assets.storage.schema import token_pairs
from ingest_assets.storage.vault import new_key
from ingest_assets.sync.account import sync
from ingest_assets.sync.oauth import RotatingTokens
from tests.sources.tenants import FathomTenant, GmailTenant, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

OAUTH = {"client_id": "app", "client_secret": "app-secret", "refresh_token": "refresh-0"}
WRONG = {"client_secret": "wrong"}
PATIENCE = 20.0
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
TOKEN_METHOD = {"slack": "oauth.v2.access", "gong": "oauth.token", "fathom": "oauth.token"}


def rotating(kind: type[Tenant], bench: Bench, name: str = "acme") -> Tenant:
    """A customer whose login is an app's, with tokens that replace each other."""

    class Rotating(kind):  # type: ignore[misc, valid-type]  # the class is chosen by the test
        def found(self) -> str:
            lifetime = {"expires_in": 3600}
            if kind is SlackTenant:
                world = {"channels": [{"name": "general"}]}
                first = {"token": "xoxe.first"}
                made = bench.order("slack/team", world=world, **first, **OAUTH, **lifetime)
                self.channel = made["channels"]["general"]
                vendor_id = made["team_id"]
            elif kind is GongTenant:
                vendor_id = bench.order("gong/company", **OAUTH, **lifetime)["company"]
            else:
                vendor_id = bench.order("fathom/org", **OAUTH, **lifetime)["org"]
            self.secrets = {name: OAUTH[name] for name in ("client_secret", "refresh_token")}
            return str(vendor_id)

        def given(self) -> dict[str, Any]:
            return {"client_id": "app", "client_secret": "-", "refresh_token": "-"}

    return Rotating(bench, name)


@pytest.fixture(params=[SlackTenant, GongTenant, FathomTenant], ids=lambda kind: kind.source.name)
def acme(request: pytest.FixtureRequest, bench: Bench) -> Tenant:
    tenant = rotating(request.param, bench)
    tenant.add()
    return tenant.connected()


def refreshes(tenant: Tenant) -> int:
    return tenant.calls().get(TOKEN_METHOD[tenant.source.name], 0)


class TestAChainOfTokens:
    def test_serves_connecting_and_every_sync_until_it_expires(self, acme: Tenant) -> None:
        acme.reads()
        acme.reads()
        assert refreshes(acme) == 1
        acme.bench.clock.advance(timedelta(hours=2))
        acme.reads()
        assert refreshes(acme) == 2

    def test_is_refreshed_to_the_end_where_a_stop_comes_amid_it(self, acme: Tenant) -> None:
        bench = acme.bench
        bench.clock.advance(timedelta(hours=2))
        worker, options = bench.worker(), bench.app.options_of(acme.source)
        with bench.engine.connect() as conn, ThreadPoolExecutor(1) as pool:
            conn.execute(select(token_pairs).with_for_update())
            syncing = pool.submit(sync, acme.source, acme.account, options, worker)
            while not conn.execute(text(WAITING)).scalar():
                time.sleep(0.005)  # between looks at another session
            worker.stop.request()
            with suppress(TimeoutError):
                syncing.result(2 * LAST_ANSWERS)  # the refresh cannot go on yet
            conn.rollback()
            assert syncing.result(PATIENCE).unfinished
        assert refreshes(acme) == 2
        acme.reads()
        assert refreshes(acme) == 2

    def test_is_sealed(self, acme: Tenant) -> None:
        acme.reads()
        with acme.bench.engine.connect() as conn:
            [row] = conn.execute(select(token_pairs)).all()
        assert set(row.pair) == {"sealed"}
        assert "refresh" not in str(row)

    def test_is_refreshed_once_by_two_workers(self, acme: Tenant) -> None:
        acme.reads()
        twin = rotating_twin(acme)  # the same login for another workspace: another account, the same chain
        before = refreshes(acme)
        acme.bench.clock.advance(timedelta(hours=2))
        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(lambda tenant: tenant.sync().status, [acme, twin]))
        assert statuses == ["success", "success"]
        assert refreshes(acme) == before + 1

    def test_goes_on_after_a_refresh_that_got_no_answer(self, acme: Tenant) -> None:
        acme.reads()
        acme.bench.clock.advance(timedelta(hours=2))
        acme.fault("drop", method=TOKEN_METHOD[acme.source.name])
        acme.reads()

    def test_replaces_a_token_that_the_vendor_no_longer_takes(self, acme: Tenant) -> None:
        acme.reads()
        # the vendor's clock runs ahead of ours: the token expired before we thought it would
        acme.bench.order("clock", advance_seconds=4000)
        acme.add(hours_ago=2)
        acme.reads()
        assert refreshes(acme) == 2

    def test_ends_when_the_app_is_revoked(self, acme: Tenant) -> None:
        acme.revoke()
        acme.bench.clock.advance(timedelta(hours=2))
        result = acme.sync()
        assert acme.account.state == "needs_reconnect"
        assert "refresh" not in str(result.as_json()).replace("refresh token", "")

    def test_is_not_what_connecting_again_trusts(self, acme: Tenant) -> None:
        """A stored token is still good, and what was given now is what has to be."""
        acme.reads()
        right = acme.secrets["client_secret"]
        acme.secrets |= WRONG
        with pytest.raises(IngestError, match=r"bad_client_secret|HTTP 401"):
            acme.connect()
        acme.reads()
        acme.secrets["client_secret"] = right
        acme.connect()
        acme.reads()

    def test_survives_a_change_of_keys(self, acme: Tenant) -> None:
        bench = acme.bench
        keys = f"{new_key()},{bench.environ['INGEST_ENCRYPTION_KEYS']}"
        assert bench.run("rotate-keys", INGEST_ENCRYPTION_KEYS=keys).returncode == 0
        done = bench.run(
            "sync", acme.source.name, "--workspace", "acme", INGEST_ENCRYPTION_KEYS=keys.partition(",")[0]
        )
        assert done.returncode == 0, done.stderr
        assert refreshes(acme) == 1


class TestAChainThatIsGivenUp:
    def chains(self, bench: Bench) -> int:
        with bench.engine.connect() as conn:
            return len(conn.execute(select(token_pairs)).all())

    def test_goes_with_the_last_account_that_uses_it(self, acme: Tenant) -> None:
        twin = rotating_twin(acme)
        assert self.chains(acme.bench) == 1
        name = acme.source.name
        assert acme.bench.run("disconnect", name, "--workspace", "acme", "--yes").returncode == 0
        twin.reads()
        assert self.chains(acme.bench) == 1
        assert acme.bench.run("remove", "twin", "--yes").returncode == 0
        assert self.chains(acme.bench) == 0

    def test_stays_where_another_login_cannot_be_read(self, acme: Tenant) -> None:
        """It may be the same one, kept in a variable that is not set here."""
        rotating_twin(acme)
        acme.bench.execute(
            "update ingest.accounts set credential = credential || jsonb_build_object('refresh_token', "
            "jsonb_build_object('env', 'NOT_SET_HERE')) where workspace_id = 'twin'"
        )
        assert acme.bench.run("disconnect", acme.source.name, "--workspace", "acme", "--yes").returncode == 0
        assert self.chains(acme.bench) == 1


def rotating_tokens(bench: Bench, exchange: Callable[[str], Awaitable[TokenPair]]) -> RotatingTokens:
    return RotatingTokens(
        engine=bench.engine,
        vault=App.load(bench.environ).vault,
        chain="test",
        first_refresh_token="first",  # noqa: S106  made up
        exchange=exchange,
        clock=Clock(),
    )


def test_a_pair_is_stored_although_its_reader_left(bench: Bench) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()
    given = TokenPair(access_token="second", refresh_token="second", expires_at=None)  # noqa: S106  made up

    async def exchange(_refresh_token: str) -> TokenPair:
        assert not asked.is_set(), "a token that works once was used twice"
        asked.set()
        await answered.wait()
        return given

    async def read() -> TokenPair:
        tokens = rotating_tokens(bench, exchange)
        reader = asyncio.create_task(tokens.current())
        await asked.wait()
        reader.cancel()
        answered.set()
        with pytest.raises(asyncio.CancelledError):
            await reader
        return await tokens.current()

    assert asyncio.run(read()) == given


def test_a_reader_that_leaves_while_a_refresh_fails_does_not_stay(bench: Bench) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def exchange(_refresh_token: str) -> TokenPair:
        asked.set()
        await answered.wait()
        raise Transient("down")

    async def read() -> None:
        tokens = rotating_tokens(bench, exchange)

        async def pages() -> AsyncGenerator[int]:
            yield 1
            await tokens.current()

        async with aclosing(ahead(pages())) as reading:
            async for _page in reading:
                await asked.wait()
                asyncio.get_running_loop().call_later(0.1, answered.set)
                break

    asyncio.run(asyncio.wait_for(read(), timeout=30))


def rotating_twin(tenant: Tenant) -> Tenant:
    """The same login, connected to a second workspace."""
    twin = object.__new__(type(tenant))
    twin.__dict__ |= {**tenant.__dict__, "name": "twin"}
    return twin.connected()


def test_a_chain_cannot_begin_where_nothing_can_be_sealed(bench: Bench) -> None:
    tenant = rotating(GongTenant, bench)
    bench.configure(INGEST_ENCRYPTION_KEYS="")
    with pytest.raises(IngestError, match="INGEST_ENCRYPTION_KEYS is not set"):
        tenant.connect()


def test_a_mailbox_is_connected_again_only_with_a_login_that_works(bench: Bench) -> None:
    acme = GmailTenant(bench, "acme").connected()
    acme.reads()
    acme.secrets |= WRONG
    with pytest.raises(IngestError, match="invalid_client"):
        acme.connect()
    acme.reads()
