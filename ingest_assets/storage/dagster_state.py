"""What Dagster's tables say of its daemons, schedules and sensors.

The bodies are its own form of JSON, beneath its public API: held by a contract test and the pinned version
(1.13.27).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

RUNNING, STOPPED = "RUNNING", "STOPPED"


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of one of the daemon's threads, SCHEDULER for one."""

    daemon: str
    at: datetime
    errors: int
    """How many it reported then."""


def has_dagster_tables(conn: Connection) -> bool:
    """Tell whether Dagster ever used the database."""
    return conn.execute(text("select to_regclass('daemon_heartbeats')")).scalar() is not None


def heartbeats(conn: Connection) -> list[Heartbeat]:
    """Return the last sign of each thread; the column `timestamp` is in whatever zone the session had."""
    rows = conn.execute(text("select daemon_type, body from daemon_heartbeats order by daemon_type"))
    return [_heartbeat(row.daemon_type, json.loads(row.body)) for row in rows]


def _heartbeat(daemon: str, body: Mapping[str, object]) -> Heartbeat:
    seconds, errors = body["timestamp"], body.get("errors")
    if not isinstance(seconds, int | float):
        raise ValueError("a heartbeat of Dagster's without a time")
    return Heartbeat(daemon, datetime.fromtimestamp(seconds, UTC), len(errors) if isinstance(errors, list) else 0)


def switches(conn: Connection) -> dict[str, str]:
    """Return, by name, the state of schedules and sensors that somebody switched on or off, RUNNING or STOPPED."""
    rows = conn.execute(text("select status, instigator_body as body from instigators order by update_timestamp"))
    return {_name(json.loads(row.body)): row.status for row in rows}


def _name(body: Mapping[str, Mapping[str, str]]) -> str:
    return body["origin"]["job_name"]
