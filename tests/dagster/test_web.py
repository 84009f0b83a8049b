"""What an operator sees in the web UI, in a real browser.

`make pictures` runs these tests and keeps the pages that the documents show.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources import SOURCES
from ingest_assets.sources.gmail import GMAIL
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.queue import mark_due
from ingest_assets.storage.vault import new_key
from tests.dagster.browser import SLOW, Browser, browsing

CHECKS = "/assets/raw/slack_messages?view=checks"
NAMES = ["acme", "globex", "initech"]
BROKEN = "initech"
MAILBOXES = ["ann", "bob", "cleo"]
TEAM = f"T{BROKEN.upper()}"
PAUSE_IS_OVER = "update ingest.accounts set due_at = now() where workspace_id = :workspace and due_at > now()"


@pytest.fixture
def browser(simulator: Simulator, database_url: str, tmp_path: Path) -> Iterator[Browser]:
    """Three workspaces that nobody has read yet; of one the login is revoked, of another a mailbox."""
    environ = {
        **crowd.environ(simulator),
        "INGEST_ENCRYPTION_KEYS": new_key(),
        "SLACK_SYNC_CRON": "* * * * *",
    }
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.found(simulator, SLACK, NAMES, 3)
    crowd.connect(app, SLACK, NAMES)
    simulator.order("/slack/token", team=TEAM, revoked=True)
    crowd.found(simulator, GMAIL, MAILBOXES, 3)
    crowd.connect(app, GMAIL, MAILBOXES, workspace="acme")
    simulator.order("/gmail/credential", mailbox=f"team@{MAILBOXES[-1]}.example", revoked=True)
    with browsing(app, environ, tmp_path) as made:
        yield made
    app.any_engine.dispose()


@pytest.mark.timeout(600)
def test_a_tick_starts_runs_and_a_partition_turns_green(
    browser: Browser, simulator: Simulator, sim: httpx.Client
) -> None:
    for source in SOURCES:
        browser.open(f"{browser.location}/asset-groups/{source.name}/lineage")
        for name in (f"{source.name}_api", *(record.table.name for record in source.records)):
            browser.sees(name, exact=True)
    browser.open(f"{browser.location}/jobs/slack_sync/playground")
    for name in ("DATABASE_URL", "INGEST_ENCRYPTION_KEYS", "SLACK_API_URL"):  # and no asterisks
        browser.sees(name, exact=True)

    _a_tick_starts_runs(browser)
    _checks_show_who_is_not_well(browser)
    _a_failed_partition_is_materialised_from_its_page(browser, simulator)
    _a_vendor_in_trouble_is_asked_again(browser, simulator, sim)
    _a_lost_mailbox_leaves_what_was_read(browser)


def _a_tick_starts_runs(browser: Browser) -> None:
    browser.open(f"{browser.location}/schedules/slack_sync")
    browser.switch()
    browser.sees(f"{len(NAMES)} runs requested", within=3 * SLOW)  # at the next full minute
    browser.switch()
    browser.deployment.wait("the tick's runs", browser.all_finished(len(NAMES)))
    browser.picture("schedule")

    browser.open("/runs")
    expect(browser.page.get_by_role("link", name="slack_sync")).to_have_count(2 * len(NAMES))  # job, and schedule
    browser.picture("runs")
    assert browser.squares("slack") == {"acme": False, "globex": False, BROKEN: True}
    browser.open("/assets/raw/slack_messages?view=partitions")
    browser.sees("Failed (1)")
    browser.sees("Materialized (2)")
    browser.picture("partitions")

    [failed] = browser.ask("select run_id from runs where status = 'FAILURE'")
    browser.open(f"/runs/{failed}")
    browser.page.get_by_placeholder("Filter").first.fill(f"{BROKEN}: ")
    browser.sees(f"{BROKEN}: Slack refused auth.test: token_revoked.")
    browser.picture("failed-run")
    browser.open(f"{browser.location}/asset-groups/slack/lineage")
    browser.sees("66% filled (1 failed)")
    browser.picture("lineage")


def _checks_show_who_is_not_well(browser: Browser) -> None:
    _judged(browser, passed=2, failed=1)
    browser.open(CHECKS)
    browser.page.get_by_role("button", name="Execute all").click()
    browser.deployment.wait("the run of the checks", browser.all_finished(len(NAMES) + 1))
    assert (
        len(browser.ask("select run_id from runs where status = 'FAILURE'")) == 1
    )  # the broken workspace's still
    browser.open(f"{CHECKS}&checkDetail=fresh")
    browser.sees("2 of 3 workspaces are fresh")
    browser.picture("checks")
    _judged(browser, passed=2, failed=1)


def _judged(browser: Browser, *, passed: int, failed: int) -> None:
    """Wait until a check's page shows so many partitions in colour, and none without."""
    browser.open(f"{CHECKS}&checkDetail=healthy")
    browser.sees("Execution history")
    browser.page.get_by_text("Partitions", exact=True).last.click()  # the first one is the asset's
    for words in (
        f"Passed ({passed})",
        f"Failed ({failed})",
        "Missing (0)",
        "Skipped (0)",
        "Execution Failed (0)",
    ):
        browser.sees(words, exact=True)


def _a_failed_partition_is_materialised_from_its_page(browser: Browser, simulator: Simulator) -> None:
    simulator.order("/slack/token", team=TEAM, revoked=False)
    crowd.connect(browser.app, SLACK, [BROKEN])
    _materialize(browser, "Failed")
    browser.deployment.wait("the run from the page", lambda: not any(browser.squares("slack").values()))
    browser.open("/assets/raw/slack_messages?view=partitions")
    browser.sees("Materialized (3)")
    browser.sees("Failed (0)")
    _judged(browser, passed=3, failed=0)


def _a_vendor_in_trouble_is_asked_again(browser: Browser, simulator: Simulator, sim: httpx.Client) -> None:
    """The pause is not waited for: the test ends it, and the sensor does the rest."""
    simulator.order("/fault", kind="error", vendor="slack", error="fatal_error", team=TEAM, times=-1)
    _materialize(browser, "All")
    browser.deployment.wait("a red partition", lambda: browser.squares("slack").get(BROKEN, False))
    browser.deployment.wait("the end of its run", browser.all_finished(len(NAMES) + 2))
    _judged(browser, passed=2, failed=1)
    sim.delete("/_sim/fault").raise_for_status()
    with browser.app.engine.begin() as conn:
        assert conn.execute(text(PAUSE_IS_OVER), {"workspace": BROKEN}).rowcount == 1
    browser.deployment.wait("the retry", lambda: not any(browser.squares("slack").values()))
    browser.open("/runs")
    browser.sees("slack_due", exact=True)


def _a_lost_mailbox_leaves_what_was_read(browser: Browser) -> None:
    with browser.app.engine.begin() as conn:
        mark_due(conn, "gmail", datetime.now(UTC))
    browser.deployment.wait("the mail", lambda: browser.squares("gmail") == {"acme": False})
    browser.open("/assets/raw/gmail_threads?view=partitions&partition=acme")
    browser.sees("2 of 3; cleo: Google gave no token")
    browser.picture("lost-mailbox")
    browser.open("/assets/raw/gmail_threads?view=checks&checkDetail=healthy")
    browser.sees("2 of 3 accounts can be read")


def _materialize(browser: Browser, which: str) -> None:
    """Launch a run for some partitions from the asset's page: "All", "Failed"."""
    browser.open("/assets/raw/slack_messages?view=partitions")
    browser.page.get_by_role("button", name="Materialize").first.click()
    dialog = browser.page.get_by_role("dialog")
    dialog.get_by_role("button", name=which, exact=True).click()
    dialog.get_by_role("button", name="Launch").click()
