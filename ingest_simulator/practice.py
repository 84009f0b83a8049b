"""`ingest-assets simulate --practice FOLDER`: a customer to connect, and a PostgreSQL to bring them into.

The simulated vendors forget when they end, so the database begins empty each time.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from ingest_simulator import embedded
from ingest_simulator.app import LOOPBACK, running
from ingest_simulator.demo_query import psql
from ingest_simulator.demo_world import addresses

DATABASE = "practice"
PRIVATE = 0o600
TEAM = {
    "id": "T0UMBRA",
    "name": "Umbra",
    "token": "xoxb-umbra-before-anybody-logged-in",
    "client_id": "practice",
    "client_secret": "practice-secret",
    "rotates": False,
    "seed": 7,
    "world": {
        "channels": [
            {"name": "deals", "id": "C0DEALS"},
            {"name": "support", "id": "C0SUPPORT"},
            {"name": "random", "id": "C0RANDOM"},
        ],
        "messages": 120,
        "threads": 20,
        "replies": 3,
        "span_hours": 100 * 24,
    },
}
"""A Slack workspace with 100 days of messages, and an app that is to be installed there."""


@contextmanager
def practising(folder: Path, port: int) -> Iterator[list[str]]:
    """Serve the vendors and a PostgreSQL for as long as the block lasts; yield what to do with them."""
    folder.mkdir(parents=True, exist_ok=True)
    server = embedded.start(folder / "postgres")
    server.drop_database(DATABASE)
    database_url = server.create_database(DATABASE)
    with running(LOOPBACK, port) as vendors:
        _order(vendors, "slack/team", **TEAM)
        secret = {"PRACTICE_SECRET": TEAM["client_secret"]}
        _write(folder / ".env", {"DATABASE_URL": database_url, **secret, **addresses(vendors)})
        yield [
            f"Simulated vendors at {vendors}, until Ctrl-C.",
            f"{folder / '.env'} names them and an empty database: run commands in that folder.",
            f"Ask the database: {psql()} {shlex.quote(database_url)}",
        ]


def _write(path: Path, variables: dict[str, Any]) -> None:
    path.touch(mode=PRIVATE)
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def _order(vendors: str, path: str, **fields: Any) -> None:
    httpx.post(f"{vendors}/_sim/{path}", json=fields, timeout=30, trust_env=False).raise_for_status()
