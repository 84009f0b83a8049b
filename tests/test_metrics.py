"""What Prometheus gets, and whether the rules and the board that are shipped ask for what is served."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest_assets.app import App
from ingest_assets.cli.metrics import HealthCollector
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_simulator import embedded
from tests.incidents.crowd import Crowd
from tests.needs import program

DEPLOY = Path(__file__).parent.parent / "deploy"
RULES, RULES_TEST = DEPLOY / "prometheus" / "rules.yml", DEPLOY / "prometheus" / "rules_test.yml"
BOARD = DEPLOY / "grafana" / "board.json"
OURS = re.compile(r"\bingest_[a-z_]+")


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    made = App.load({"DATABASE_URL": database_url})
    yield made
    made.any_engine.dispose()


@pytest.fixture
def crowd(app: App) -> Crowd:
    return Crowd(app.engine, now=datetime.now(UTC) - timedelta(hours=1))


def scrape(app: App, **given: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by its metric's name and its labels' values, in the order of the labels' names."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HealthCollector(app, **given))
    said = generate_latest(registry).decode()
    return {
        family.name: {tuple(value for _, value in sorted(one.labels.items())): one.value for one in family.samples}
        for family in text_string_to_metric_families(said)
    }


def trouble(crowd: Crowd) -> None:
    """A little of everything: three workspaces, one refused, one retrying, one paused account."""
    crowd.join("acme", "globex", "initech")
    crowd.look()
    crowd.fails("acme", kind="credential_rejected", state="needs_reconnect")
    crowd.fails("globex")
    crowd.sql("update ingest.accounts set state = 'paused' where workspace_id = 'initech'")
    crowd.sql("insert into ingest.sync_counts (source, since, succeeded, total) values ('slack', now(), 1, 3)")
    crowd.passes(2)


def test_accounts_and_incidents_are_told_by_state_and_cause(app: App, crowd: Crowd) -> None:
    trouble(crowd)
    crowd.sql("update ingest.incident_messages set attempts = 3")
    served = scrape(app)
    assert served["ingest_accounts"] == {
        ("slack", "needs_reconnect"): 1,
        ("slack", "paused"): 1,
        ("slack", "retrying"): 1,
    }
    assert served["ingest_account_states"] == {
        ("slack", "needs_reconnect", "acme"): 1,
        ("slack", "retrying", "globex"): 1,
        ("slack", "paused", "initech"): 1,
    }
    assert served["ingest_incident_workspaces"] == {("login_refused", "warning", "slack"): 1}
    assert served["ingest_messages"] == {
        ("webhook", "waiting"): 1,
        ("webhook", "failing"): 1,
        ("webhook", "given_up"): 0,
    }
    assert 3000 < served["ingest_watch_age_seconds"][()] < 3700
    assert served["ingest_database_up"] == {(): 1}


def test_series_by_workspace_are_bounded_and_those_in_trouble_stay(app: App, crowd: Crowd) -> None:
    crowd.join(*[f"w{number:02}" for number in range(30)])
    crowd.fails("w07", kind="credential_rejected", state="needs_reconnect")
    assert len(scrape(app)["ingest_fresh"]) == 30
    served = scrape(app, most_pairs=20)
    assert set(served["ingest_fresh"]) == {("slack", "w07")}
    assert served["ingest_pairs_left_out"] == {(): 29}
    assert sum(served["ingest_workspaces"].values()) == 30


def test_while_the_database_is_down_that_is_told(tmp_path: Path) -> None:
    server = embedded.start(tmp_path / "postgres", durable=False)
    url = server.create_database("gone")
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    app = App.load({"DATABASE_URL": url})
    assert scrape(app)["ingest_database_up"] == {(): 1}
    server.stop()
    assert scrape(app) == {"ingest_database_up": {(): 0}}
    app.any_engine.dispose()


def test_rules_and_board_ask_only_for_what_is_served(app: App, crowd: Crowd) -> None:
    trouble(crowd)
    served = scrape(app)
    rules = yaml.safe_load(RULES.read_text())
    asked = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    shown = " ".join(
        target["expr"] for panel in json.loads(BOARD.read_text())["panels"] for target in panel["targets"]
    )
    assert set(OURS.findall(asked)) <= set(served)
    assert set(OURS.findall(shown)) == {name for name, samples in served.items() if samples}


def test_every_metric_is_documented(app: App, crowd: Crowd) -> None:
    trouble(crowd)
    documented = set(OURS.findall((DEPLOY.parent / "docs" / "operating" / "health.md").read_text()))
    assert set(scrape(app)) <= documented


@pytest.mark.parametrize("command", [["check", "rules", RULES], ["test", "rules", RULES_TEST]])
def test_promtool_accepts_the_rules_and_what_they_are_to_tell(command: list[Any]) -> None:
    done = subprocess.run(  # noqa: S603  (its path is looked up)
        [program("promtool", "prometheus"), *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_board_is_one_that_grafana_imports() -> None:
    board = json.loads(BOARD.read_text())
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in board["panels"]]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(x + w <= 24 for x, _, w, _ in places)
    assert not any(
        one != other and one[0] < other[0] + other[2] and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3] and other[1] < one[1] + one[3]
        for one in places for other in places
    )  # fmt: skip
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= variables
