"""What an operator sees in the web UI, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import text

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, WEB, Deployment
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.running import INSTANCE, LOOPBACK
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.queue import mark_due
from ingest_assets.storage.vault import new_key
from tests import needs, survivors

NAMES = ["acme", "globex", "initech"]
BROKEN = "initech"
SLOW = 60_000  # milliseconds; a page of a busy machine


@dataclass
class Shown:
    """A deployment and a page in a browser."""

    app: App
    deployment: Deployment
    page: Page

    def open(self, path: str) -> None:
        self.page.goto(f"http://{LOOPBACK}:{self.deployment.web_port}{path}")

    def partitions(self) -> dict[bool, int]:
        """What the database says: how many partitions are red (True) and green."""
        with self.app.engine.connect() as conn:
            rows = conn.execute(
                text(
                    "select failed, count(*) from ingest.partition_reports where source = 'slack' group by failed"
                )
            ).all()
        return {row[0]: row[1] for row in rows}

    def runs_done(self, count: int) -> bool:
        with self.app.engine.connect() as conn:
            done = conn.execute(
                text("select count(*) from runs where status in ('SUCCESS', 'FAILURE')")
            ).scalar_one()
        return bool(done >= count)


@pytest.fixture
def shown(simulator: Simulator, database_url: str, tmp_path: Path) -> Iterator[Shown]:
    """Three workspaces, each after its first run; the login of one is revoked."""
    chromium = needs.program("chromium", "chromium")
    environ = {**crowd.environ(simulator), "INGEST_ENCRYPTION_KEYS": new_key()}
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.found(simulator, SLACK, NAMES, 3)
    crowd.connect(app, SLACK, NAMES)
    simulator.order("/slack/token", team=f"T{BROKEN.upper()}", revoked=True)
    instance = survivors.instance(INSTANCE, tmp_path)
    with (
        Deployment(database_url, tmp_path / "dagster", environ, instance=instance) as deployment,
        sync_playwright() as playwright,
        # without the sandbox, which root may not have; the pages are our own
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        deployment.start(CODE_SERVER, DAEMON, WEB)
        with app.engine.begin() as conn:
            mark_due(conn, "slack", datetime.now(UTC))
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(SLOW)
        expect.set_options(timeout=SLOW)
        made = Shown(app, deployment, page)
        deployment.wait("the first runs", lambda: made.runs_done(len(NAMES)))
        yield made
        deployment.kill_all()
    app.any_engine.dispose()


@pytest.mark.timeout(400)
def test_the_pages_show_what_the_database_says_and_a_partition_turns_green(
    shown: Shown, simulator: Simulator
) -> None:
    page = shown.page
    for source in SOURCES:
        location = f"grpc:{LOOPBACK}:{shown.deployment.port}"
        shown.open(f"/locations/{location}/asset-groups/{source.name}/lineage")
        for name in (f"{source.name}_api", *(record.table.name for record in source.assets)):
            expect(page.get_by_text(name, exact=True).first).to_be_visible()

    assert shown.partitions() == {False: 2, True: 1}
    shown.open("/assets/raw/slack_messages?view=partitions")
    expect(page.get_by_text("Failed (1)")).to_be_visible()
    expect(page.get_by_text("Materialized (2)")).to_be_visible()

    simulator.order("/slack/token", team=f"T{BROKEN.upper()}", revoked=False)
    crowd.connect(shown.app, SLACK, [BROKEN])
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Failed", exact=True).click()
    dialog.get_by_role("button", name="Launch").click()
    shown.deployment.wait("the run from the page", lambda: shown.partitions() == {False: 3})
    shown.open("/assets/raw/slack_messages?view=partitions")
    expect(page.get_by_text("Materialized (3)")).to_be_visible()
    expect(page.get_by_text("Failed (0)")).to_be_visible()
