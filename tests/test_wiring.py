"""Every source is wired in every place; a new one is told which places it lacks."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crowd
from benchmarks.crowd import CUSTOMERS
from benchmarks.jobs import JOBS
from ingest_assets.sources import SOURCES
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.source import Source
from ingest_simulator import demo_world
from ingest_simulator.state import Simulator
from ingest_simulator.vendors import NAMES
from tests.dagster.test_resources import ASKS
from tests.fuzz.parsers import PARSERS
from tests.sources.poison import METHODS
from tests.sources.tenants import TENANTS
from tests.sources.test_poisoned_items import SAMPLES, SENDING, SENT

ROOT = Path(__file__).parent.parent
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
SLACK_BENCHMARK = "slack"  # benchmarks/slack.py is older than the jobs, and measures more


class _Somewhere:
    url = "http://vendors"


def addressed(source: Source, environ: Mapping[str, str]) -> bool:
    """Whether the source is told where its vendor is: else it would ask the real one."""
    told = {name for name in environ if name.startswith(f"{source.name.upper()}_")}
    return bool(told - {f"{source.name.upper()}_{what}" for what in ("PACING", "SYNC_CRON")})


def under_contract(contract: str, module: str) -> bool:
    [modules] = [c.get("modules") or c["source_modules"] for c in CONTRACTS if c["name"] == contract]
    return module in modules


PLACES: dict[str, Callable[[Source], bool]] = {
    "ingest_assets/sources/<name>/": lambda source: (ROOT / "ingest_assets/sources" / source.name).is_dir(),
    "ingest_assets/sources/__init__.py: SOURCES": lambda source: source in SOURCES,
    "ingest_assets/migrations/versions/: a migration for each table": lambda source: all(
        any(
            f'"{record.table.name}"' in migration.read_text()
            for migration in (ROOT / "ingest_assets/migrations/versions").glob("*.py")
        )
        for record in source.records
    ),
    "pyproject.toml: the contract that sources know nothing of each other": lambda source: under_contract(
        "Sources know nothing of each other", f"ingest_assets.sources.{source.name}"
    ),
    "pyproject.toml: the contract that simulated vendors share no code": lambda source: under_contract(
        "The simulated vendors share no code with the clients", f"ingest_simulator.{source.name}"
    ),
    "ingest_simulator/vendors.py: VENDORS": lambda source: source.name in NAMES,
    "ingest_simulator/state.py: its world": lambda source: hasattr(Simulator(), source.name),
    "ingest_simulator/demo_world.py: its address in environ": lambda source: addressed(
        source, demo_world.environ("http://vendors")
    ),
    "ingest_simulator/demo_world.py: EXPECTED_FAILURES, and a customer": lambda source: (
        source.name in demo_world.EXPECTED_FAILURES
    ),
    "tests/workbench.py: its address, and no pacing": lambda source: (
        f'"{source.name.upper()}_PACING"' in (ROOT / "tests/workbench.py").read_text()
    ),
    "tests/sources/tenants.py: TENANTS": lambda source: source.name in TENANTS,
    "tests/sources/poison.py: METHODS": lambda source: source.name in METHODS,
    "tests/sources/test_poisoned_items.py: SAMPLES, SENDING, SENT": lambda source: (
        {*source.records} <= SAMPLES.keys() and source.name in SENDING.keys() & SENT.keys()
    ),
    "tests/dagster/test_resources.py: ASKS": lambda source: source.name in ASKS,
    "tests/fuzz/parsers.py: PARSERS": lambda source: source.main.table.name in PARSERS,
    "benchmarks/jobs.py: JOBS": lambda source: source.name in {*JOBS, SLACK_BENCHMARK},
    "benchmarks/crowd.py: CUSTOMERS, and its address in environ": lambda source: (
        source.name in CUSTOMERS and addressed(source, crowd.environ(_Somewhere()))  # type: ignore[arg-type]  # as much as it takes
    ),
    "docs/connecting/<name>.md": lambda source: (ROOT / "docs/connecting" / f"{source.name}.md").is_file(),
    "README.md: a link to that page": lambda source: (
        f"docs/connecting/{source.name}.md" in (ROOT / "README.md").read_text()
    ),
    "docs/settings.md, docs/data.md: python -m tests.generated_docs": lambda source: all(
        word in (ROOT / "docs" / page).read_text()
        for page, word in (("settings.md", f"{source.name.upper()}_"), ("data.md", source.main.table.fullname))
    ),
}
"""What a source needs, as docs/adding-a-source.md has it."""


def missing(source: Source) -> list[str]:
    return [place.replace("<name>", source.name) for place, is_wired in PLACES.items() if not is_wired(source)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_is_wired(source: Source) -> None:
    assert missing(source) == []


def test_one_that_nobody_wired_is_told_of_every_place() -> None:
    class Table:
        name, fullname = "nobodys_things", "raw.nobodys_things"

    class Thing:
        table = Table

    nobodys = replace(SLACK, name="nobodys", records=(Thing,))  # type: ignore[arg-type]  # as much of one as is asked
    assert missing(nobodys) == [place.replace("<name>", "nobodys") for place in PLACES]


def test_the_recipe_names_every_place() -> None:
    recipe = (ROOT / "docs/adding-a-source.md").read_text()
    files = {place.split(":")[0].split(",")[0] for place in PLACES}
    assert {file for file in files if f"`{file}`" not in recipe} == set()
