"""What an operator sees in the web UI, in a real browser.

`make pictures` runs these tests and keeps the pages that the documents show.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.vault import new_key
from tests.dagster.browser import Browser, browsing

NAMES = ["acme", "globex", "initech"]
BROKEN = "initech"
TEAM = f"T{BROKEN.upper()}"
PAUSE_IS_OVER = "update ingest.accounts set due_at = now() where workspace_id = :workspace and due_at > now()"


@pytest.fixture
def browser(simulator: Simulator, database_url: str, tmp_path: Path) -> Iterator[Browser]:
    """Three workspaces that nobody has read yet; the login of one is revoked."""
    environ = {
        **crowd.environ(simulator),
        "INGEST_ENCRYPTION_KEYS": new_key(),
        "SLACK_SYNC_CRON": "* * * * *",
    }
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.found(simulator, SLACK, NAMES, 3)
    crowd.connect(app, SLACK, NAMES)
    simulator.order("/slack/token", team=TEAM, revoked=True)
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
    _a_failed_partition_is_materialised_from_its_page(browser, simulator)
    _a_vendor_in_trouble_is_asked_again(browser, simulator, sim)


def _a_tick_starts_runs(browser: Browser) -> None:
    browser.open(f"{browser.location}/schedules/slack_sync")
    browser.switch()
    browser.sees(f"{len(NAMES)} runs requested")
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


def _a_failed_partition_is_materialised_from_its_page(browser: Browser, simulator: Simulator) -> None:
    simulator.order("/slack/token", team=TEAM, revoked=False)
    crowd.connect(browser.app, SLACK, [BROKEN])
    _materialize(browser, "Failed")
    browser.deployment.wait("the run from the page", lambda: not any(browser.squares("slack").values()))
    browser.open("/assets/raw/slack_messages?view=partitions")
    browser.sees("Materialized (3)")
    browser.sees("Failed (0)")


def _a_vendor_in_trouble_is_asked_again(browser: Browser, simulator: Simulator, sim: httpx.Client) -> None:
    """The pause is not waited for: the test ends it, and the sensor does the rest."""
    simulator.order("/fault", kind="error", vendor="slack", error="fatal_error", team=TEAM, times=-1)
    _materialize(browser, "All")
    browser.deployment.wait("a red partition", lambda: browser.squares("slack").get(BROKEN, False))
    browser.deployment.wait("the end of its run", browser.all_finished(len(NAMES) + 2))
    sim.delete("/_sim/fault").raise_for_status()
    with browser.app.engine.begin() as conn:
        assert conn.execute(text(PAUSE_IS_OVER), {"workspace": BROKEN}).rowcount == 1
    browser.deployment.wait("the retry", lambda: not any(browser.squares("slack").values()))
    browser.open("/runs")
    browser.sees("slack_due", exact=True)


def _materialize(browser: Browser, which: str) -> None:
    """Launch a run for some partitions from the asset's page: "All", "Failed"."""
    browser.open("/assets/raw/slack_messages?view=partitions")
    browser.page.get_by_role("button", name="Materialize").first.click()
    dialog = browser.page.get_by_role("dialog")
    dialog.get_by_role("button", name=which, exact=True).click()
    dialog.get_by_role("button", name="Launch").click()
