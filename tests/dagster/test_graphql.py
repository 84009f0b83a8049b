"""What the web UI asks its server after each of its buttons, of a real deployment: checks have a colour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, WEB, Deployment
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.cli.processes import INSTANCE, LOOPBACK
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.vault import new_key
from tests import survivors

NAMES = ["acme", "globex", "initech"]
BROKEN = "initech"
ASSET = {"path": ["raw", "slack_messages"]}
CHECKS = [{"assetKey": ASSET, "name": name} for name in ("fresh", "healthy", "complete")]
JOB = "__ASSET_JOB"

REPOSITORY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
PARTITIONS = """
query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode { partitionKeys } } }
"""
SHOWN = """
query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  partitionStats { numMaterialized numFailed }
  assetChecksOrError { ... on AssetChecks { checks {
    name
    executionForLatestMaterialization { status evaluation { description } }
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions inProgressPartitions skippedPartitions executionFailedPartitions } }
  } } } } } }
"""
LAUNCH = """
mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }
"""
BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"


class Server:
    """The web server, asked as its pages ask it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.client = httpx.Client(base_url=f"http://{LOOPBACK}:{deployment.web_port}", timeout=60)
        deployment.wait("the code location", lambda: bool(self._nodes()))
        [node] = self._nodes()
        self._where = {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}

    def _nodes(self) -> list[Any]:
        return list(self.ask(REPOSITORY)["repositoriesOrError"].get("nodes", []))

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, *, tags: dict[str, str] | None = None, asset: bool = True, checks: Any = CHECKS) -> str:
        """Press "Materialize", or (`asset` False) "Execute all"; return how the run ended."""
        selector = {**self._where, "pipelineName": JOB, "assetCheckSelection": checks}
        selector["assetSelection"] = [ASSET] if asset else []
        tagged = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {
            "mode": "default",
            "runConfigData": "{}",
            "executionMetadata": {"tags": tagged},
            "selector": selector,
        }
        launched = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        self._deployment.wait("the run", lambda: self.runs()[run_id] in {"SUCCESS", "FAILURE"})
        return self.runs()[run_id]

    def backfill(self, *names: str) -> None:
        """Press "Launch backfill" for some partitions, and wait for its runs."""
        before = len(self.runs())
        params = {"assetSelection": [ASSET], "partitionNames": list(names)}
        launched = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        self._deployment.wait(
            "the backfill's runs",
            lambda: len(self.runs()) > before and set(self.runs().values()) <= {"SUCCESS", "FAILURE"},
        )

    def runs(self) -> dict[str, str]:
        return {run["runId"]: run["status"] for run in self.ask(RUNS)["runsOrError"]["results"]}

    def partition_keys(self) -> list[str]:
        return list(self.ask(PARTITIONS, asset=ASSET)["assetNodeOrError"]["partitionKeys"])

    def shown(self) -> dict[str, Any]:
        """Return what header and graph count, and the partitions of each colour; those in none are "Missing"."""
        node = self.ask(SHOWN, asset=ASSET)["assetNodeOrError"]
        found: dict[str, Any] = {"partitions": node["partitionStats"]}
        for check in node["assetChecksOrError"]["checks"]:
            latest = check["executionForLatestMaterialization"]
            found[check["name"]] = latest and latest["status"]
            if check["name"] == "fresh":
                found["says"] = latest and latest["evaluation"] and latest["evaluation"]["description"]
            for colour, keys in (check["partitionStatuses"] or {}).items():
                if keys:
                    found[colour] = sorted(keys)
        return found


@pytest.fixture
def server(simulator: Simulator, database_url: str, tmp_path: Path) -> Iterator[Server]:
    """Three workspaces that nobody has read yet; the login of one is revoked. No schedule is on."""
    environ = {**crowd.environ(simulator), "INGEST_ENCRYPTION_KEYS": new_key()}
    app = App.load({**environ, "DATABASE_URL": database_url})
    crowd.found(simulator, SLACK, NAMES, 3)
    crowd.connect(app, SLACK, NAMES)
    simulator.order("/slack/token", team=f"T{BROKEN.upper()}", revoked=True)
    instance = survivors.instance(INSTANCE, tmp_path)
    with Deployment(database_url, tmp_path / "dagster", environ, instance=instance) as deployment:
        deployment.start(CODE_SERVER, WEB, DAEMON)
        made = Server(deployment)
        with closing(made.client):
            deployment.wait("the partitions", lambda: sorted(made.partition_keys()) == NAMES)
            yield made
        deployment.kill_all()
    app.any_engine.dispose()


GREEN_AND_RED = {
    "partitions": {"numMaterialized": 2, "numFailed": 1},
    "fresh": "FAILED",
    "says": "2 of 3 workspaces are fresh.",
    "healthy": "FAILED",
    "complete": "FAILED",
    "succeededPartitions": ["acme", "globex"],
    "failedPartitions": ["initech"],
}


@pytest.mark.timeout(400)
def test_after_each_button_checks_are_green_or_red_and_never_skipped_or_missing(server: Server) -> None:
    for name in NAMES:
        ended = server.launch(tags={"dagster/partition": name})
        assert ended == ("FAILURE" if name == BROKEN else "SUCCESS")
    assert server.shown() == GREEN_AND_RED
    server.backfill(*NAMES)
    assert server.shown() == GREEN_AND_RED
    assert server.launch(tags={"dagster/partition": "acme"}) == "SUCCESS"
    assert server.shown() == GREEN_AND_RED  # what is well was reported last, and hides nothing
    assert server.launch(asset=False) == "SUCCESS"
    assert server.shown() == GREEN_AND_RED
