"""Dagster's services on a database, and their pages in a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import text

from benchmarks.deployment import CODE_SERVER, DAEMON, WEB, Deployment
from ingest_assets.app import App
from ingest_assets.cli.processes import INSTANCE, LOOPBACK
from tests import needs, survivors

SLOW = 60_000  # milliseconds; a page of a busy machine
PICTURES = "PICTURES"  # the folder that the documents' pictures go to, if they are wanted
FINISHED = frozenset({"SUCCESS", "FAILURE"})


@dataclass
class Browser:
    """A deployment and a page in a browser."""

    app: App
    deployment: Deployment
    page: Page

    @property
    def location(self) -> str:
        return f"/locations/grpc:{LOOPBACK}:{self.deployment.port}"

    def open(self, path: str) -> None:
        self.page.goto(f"http://{LOOPBACK}:{self.deployment.web_port}{path}")

    def sees(self, words: str, *, exact: bool = False, within: float = SLOW) -> None:
        """Wait until the page shows some words, for so many milliseconds at most."""
        expect(self.page.get_by_text(words, exact=exact).first).to_be_visible(timeout=within)

    def picture(self, name: str) -> None:
        """Keep what the page shows, where pictures are wanted."""
        folder = os.environ.get(PICTURES)
        if folder:
            self.page.wait_for_load_state("networkidle")
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def switch(self) -> None:
        """Switch the automation of the open page on or off."""
        self.page.locator("input[type=checkbox]").first.locator("xpath=..").click()

    def ask(self, query: str) -> list[str]:
        """Return the texts that a query finds."""
        with self.app.engine.connect() as conn:
            return list(conn.execute(text(query)).scalars())

    def all_finished(self, least: int) -> Callable[[], bool]:
        """Make a question whether so many runs are finished, and no other is under way."""
        return lambda: len(states := self.ask("select status from runs")) >= least and FINISHED.issuperset(states)

    def squares(self, source: str) -> dict[str, bool]:
        """Which of a source's partitions are red, by the database."""
        query = text("select workspace_id, failed from ingest.partition_reports where source = :source")
        with self.app.engine.connect() as conn:
            return {row.workspace_id: row.failed for row in conn.execute(query, {"source": source})}


@contextmanager
def browsing(app: App, environ: Mapping[str, str], folder: Path) -> Iterator[Browser]:
    """Start all services, and a browser."""
    chromium = needs.program("chromium", "chromium")
    instance = survivors.instance(INSTANCE, folder)
    with (
        Deployment(app.database_url, folder / "dagster", environ, instance=instance) as deployment,
        sync_playwright() as playwright,
        # without the sandbox, which root may not have; the pages are our own
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        deployment.start(CODE_SERVER, DAEMON, WEB)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(SLOW)
        expect.set_options(timeout=SLOW)
        yield Browser(app, deployment, page)
        deployment.kill_all()
