"""`make demo`: from nothing to green partitions, with one that fails on purpose.

Nothing here is special to the demo but the simulated vendors: accounts are connected, the schedule is switched
on in the web UI's own API, and the daemon does the rest.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ingest_assets.app import App
from ingest_assets.cli.account_entries import status_entries
from ingest_assets.cli.feature_output import feature_entries, print_features
from ingest_assets.cli.output import print_table
from ingest_assets.cli.processes import (
    LOOPBACK,
    dagster_command,
    dagster_environment,
    output,
    process,
    require_free,
    stop_by_signal,
)
from ingest_assets.cli.progress import progress
from ingest_assets.cli.signals import INTERRUPTED
from ingest_assets.cli.status import print_status
from ingest_assets.errors import IngestError
from ingest_assets.features.featured import FEATURED
from ingest_assets.sources import SOURCES
from ingest_assets.storage.migrate import migrate
from ingest_assets.storage.vault import new_key
from ingest_assets.terminal import echo
from ingest_simulator import demo_query, demo_world, embedded
from ingest_simulator.wire import Json

FOLDER = Path(".demo")
DATABASE = "ingest"
PATIENCE_SECONDS = 600

START_SCHEDULE = """mutation($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) {
    __typename ... on ScheduleStateResult { scheduleState { id } } } }"""
STOP_SCHEDULE = """mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }"""
PARTITIONS = """query($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { __typename ... on AssetNode {
    partitionStats { numMaterialized numFailed } } } }"""


def demo() -> int:
    """Run the demo; return the exit code."""
    stop_by_signal()
    try:
        with ExitStack() as running:
            reason = _run(running)
            if reason is None and sys.stdout.isatty() and not os.environ.get("CI"):
                echo("Ctrl-C stops everything.")
                signal.pause()  # until the user has seen enough
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if reason is None else 1


class _Step:
    """What the demo is about, for the line that tells it."""

    began = time.monotonic()
    now = "Starting"

    @classmethod
    def words(cls) -> str:
        return f"{cls.now} ... ({time.monotonic() - cls.began:.0f} s)"


def _run(running: ExitStack) -> str | None:
    """Start everything and show it; return why it did not end well, or None."""
    running.enter_context(_only_one())
    with progress(_Step.words):
        app = App.load()
        require_free(app.core.web_port, "INGEST_WEB_PORT")
        _step("Starting PostgreSQL")
        server = embedded.start(FOLDER / "postgres")
        server.drop_database(DATABASE)  # the simulated vendors forget; so must we
        url = server.create_database(DATABASE)
        environ = dagster_environment(url, FOLDER / "dagster", {})
        _step("Starting the simulated vendors")
        vendors = running.enter_context(_simulator(environ))
        environ |= {**demo_world.environ(vendors), "INGEST_ENCRYPTION_KEYS": new_key()}
        app = App.load(environ)
        migrate(app.any_engine)
        _Step.now = "Connecting the customers"
        demo_world.connect_everything(app, vendors, FOLDER)
        _step("Starting Dagster: web UI, daemon, code server")
        log = running.enter_context(output(FOLDER / "dagster.log"))
        dagster = running.enter_context(
            process(dagster_command(app.core.web_port), environ, stdout=log, stderr=subprocess.STDOUT)
        )
        web = f"http://{LOOPBACK}:{app.core.web_port}"
        reason = _watch(app, web, dagster)
    print_status(app)
    reason = _show_missing(app) or reason
    _show_one(app)
    echo()
    demo_query.show(app.engine, url)
    _end(web, reason)
    return reason


def _step(what: str) -> None:
    _Step.now = what
    echo(f"{what} ...")


def _end(web: str, reason: str | None) -> None:
    """Print where to look, and what is red there on purpose."""
    echo()
    echo(f"{time.monotonic() - _Step.began:.0f} s. Web UI: {web}/assets")
    echo(
        f"Red on purpose: the partition {demo_world.REVOKED_SLACK} of raw/slack_messages, and checks that tell of "
        "what is missing."
    )
    if reason is not None:
        echo(f"{reason} Dagster's log: {FOLDER / 'dagster.log'}", err=True)
        return
    echo(
        "The schedules are off again, so that the pages keep still; switch them on under Automation, or "
        "materialize a partition from its page."
    )


@contextmanager
def _only_one() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IngestError("A demo is running already; stop it first.") from None
        yield


@contextmanager
def _simulator(environ: Mapping[str, str]) -> Iterator[str]:
    command = [sys.executable, "-m", "ingest_simulator", "--port", "0"]
    with process(command, environ, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
        line = child.stdout.readline()
        if "http" not in line:
            raise IngestError("The simulated vendors did not start.")
        yield line.split()[-1]


def _watch(app: App, web: str, dagster: subprocess.Popen[str]) -> str | None:
    """Switch the schedules on for one tick and follow the daemon; return why it did not end well, or None."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    told: dict[str, str] = {}
    ticking: list[str] = []
    ticked = False
    while time.monotonic() < deadline:
        if dagster.poll() is not None:
            return "Dagster stopped."
        try:
            if not ticking:
                ticking = _switch_on(web)
            elif ticked and _finished(web):
                return None
        except (httpx.HTTPError, KeyError):
            pass  # the web server is still starting; the deadline bounds this
        entries = status_entries(app)
        if not ticked and all(
            entry["next_attempt"] or entry["last_success"] or entry["reason"] for entry in entries
        ):
            _switch_off(web, ticking)
            ticked = True
        for entry in entries:
            who = f"{entry['workspace']} {entry['source']} {entry['account']}"
            news = f"{who}: {entry['state']}, {entry['rows']} rows"
            if told.get(who) != news and (entry["rows"] or entry["reason"]):
                told[who] = news
                echo(news)
        time.sleep(1)  # between looks at processes that we cannot wait on
    return f"The partitions did not get done within {PATIENCE_SECONDS} s."


def _switch_on(web: str) -> list[str]:
    """Start all schedules and give their ids, none while the code server is still loading."""
    started: list[str] = []
    for source in SOURCES:
        selector = {
            "repositoryLocationName": "ingest_assets",
            "repositoryName": "__repository__",
            "scheduleName": f"{source.name}_sync",
        }
        answer = _graphql(web, START_SCHEDULE, {"selector": selector})["startSchedule"]
        if answer["__typename"] != "ScheduleStateResult":
            return []
        started.append(answer["scheduleState"]["id"])
    _step("Switched the schedules on; they tick at the next full minute")
    return started


def _switch_off(web: str, schedules: list[str]) -> None:
    """Let no further tick cover the partitions with runs: the pages are to be looked at."""
    for schedule in schedules:
        _graphql(web, STOP_SCHEDULE, {"id": schedule})


def _finished(web: str) -> bool:
    """Every workspace has its square at every source: green, or red where it was broken."""
    expected = [(source.main.table, demo_world.EXPECTED_FAILURES[source.name]) for source in SOURCES]
    expected += [(kind.table, 0) for kind in FEATURED]
    for table, failed in expected:
        node = _graphql(web, PARTITIONS, {"key": {"path": [table.schema, table.name]}})["assetNodeOrError"]
        stats = node["partitionStats"]
        if (stats["numMaterialized"], stats["numFailed"]) != (len(demo_world.WORKSPACES) - failed, failed):
            return False
    return True


def _show_missing(app: App) -> str | None:
    """Show what coverage says is missing; return why that is not what was broken, or None."""
    entries = demo_world.missing(app)
    echo()
    echo("What is missing, and why (`ingest-assets coverage --workspace acme` shows what was read, too):")
    echo()
    print_table(["workspace", "source", "part", "state", "reason"], entries)
    found = {(entry["workspace"], entry["source"], entry["state"]) for entry in entries}
    return None if found == demo_world.EXPECTED_GAPS else "Coverage does not name what was broken, or more."


def _show_one(app: App) -> None:
    """Show a call that was read, as `ingest-assets features` does."""
    found = [entry for name in demo_world.WORKSPACES for entry in feature_entries(app, name) if entry["items"]]
    if found:
        echo()
        echo(f"One of {len(found)} conversations that the language model has read:")
        echo()
        print_features(found[0])


def _graphql(web: str, query: str, variables: Json) -> Any:
    return _post(f"{web}/graphql", {"query": query, "variables": variables})["data"]


def _post(url: str, body: Json) -> Any:
    answer = httpx.post(url, json=body, timeout=30, trust_env=False)
    answer.raise_for_status()
    return answer.json()
