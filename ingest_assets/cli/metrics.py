"""OpenMetrics for whoever watches from outside: each scrape asks the database once.

Series by workspace are bounded: over `MOST_PAIRS` pairs of workspace and source, those that are well are left out,
and counted. What is about incidents has a series a cause and source, however many workspaces are touched.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.health import Health, Overview
from ingest_assets.storage import incidents
from ingest_assets.storage.overview import account_states
from ingest_assets.storage.trouble import TROUBLES, trouble
from ingest_assets.terminal import echo

MOST_PAIRS = 20_000  # three series each: what a scrape can hold, some 8 MB and 2 s
WHO = ["workspace", "source"]


class HealthCollector(Collector):
    """Everything that `ops/sync_health` shows, workspace by workspace, and the incidents."""

    def __init__(self, app: App, *, most_pairs: int = MOST_PAIRS) -> None:
        self._app, self._most_pairs = app, most_pairs

    def collect(self) -> Iterator[Metric]:
        app, now = self._app, datetime.now(UTC)
        try:
            with app.engine.connect() as conn:
                overview = Overview.read(conn, app.core, now)
                found = [*self._health(overview), *_accounts(conn), *_incidents(conn, now)]
        except TROUBLES as error:
            if trouble(error, app.any_engine) is None:  # a bug of ours
                raise
            yield _gauge("ingest_database_up", "1 where PostgreSQL answers; else this is all.", 0)
            return
        yield _gauge("ingest_database_up", "1 where PostgreSQL answers; else this is all.", 1)
        yield from found

    def _health(self, found: Overview) -> Iterator[Metric]:
        fresh = GaugeMetricFamily("ingest_fresh", "1 where every account is within the objective.", labels=WHO)
        age = GaugeMetricFamily(
            "ingest_age_seconds", "Since the last complete sync began; absent if there was none.", labels=WHO
        )
        rejected = GaugeMetricFamily("ingest_rejected_items", "Items that could not be parsed.", labels=WHO)
        listed = self._listed(found.healths)
        for one in listed:
            name = [one.workspace_id, one.source]
            fresh.add_metric(name, float(one.fresh))
            rejected.add_metric(name, one.rejected)
            if one.age is not None:
                age.add_metric(name, one.age.total_seconds())
        states = GaugeMetricFamily("ingest_workspaces", "Workspaces by state.", labels=["source", "state"])
        for source in sorted({one.source for one in found.healths}):
            for state, count in sorted(found.states(source).items()):
                states.add_metric([source, state], count)
        syncs = GaugeMetricFamily(
            "ingest_syncs", "Finished syncs within a window.", labels=["source", "window", "result"]
        )
        for (source, window), (good, total) in sorted(found.rates.items()):
            syncs.add_metric([source, window, "succeeded"], good)
            syncs.add_metric([source, window, "failed"], total - good)
        yield from (fresh, age, rejected, states, syncs)
        yield _gauge(
            "ingest_objective_seconds",
            "How old a workspace's last sync may be.",
            self._app.core.freshness_minutes * 60,
        )
        yield _gauge(
            "ingest_pairs_left_out",
            "Pairs of workspace and source that are well and have no series, since there are so many.",
            len(found.healths) - len(listed),
        )

    def _listed(self, healths: Sequence[Health]) -> Sequence[Health]:
        if len(healths) <= self._most_pairs:
            return healths
        bad = [one for one in healths if not one.fresh or one.state != "fresh" or one.rejected]
        return bad[: self._most_pairs]


def _accounts(conn: Connection) -> Iterator[Metric]:
    rows = account_states(conn)
    totals: Counter[tuple[str, str]] = Counter()
    bad = GaugeMetricFamily(
        "ingest_account_states", "Accounts of a workspace that are not active.", labels=[*WHO, "state"]
    )
    listed = 0
    for row in rows:
        totals[row.source, row.state] += row.accounts
        if row.state != "active" and listed < MOST_PAIRS:
            bad.add_metric([row.workspace_id, row.source, row.state], row.accounts)
            listed += 1
    accounts = GaugeMetricFamily("ingest_accounts", "Accounts by state.", labels=["source", "state"])
    for name, count in sorted(totals.items()):
        accounts.add_metric(name, count)
    yield from (accounts, bad)


def _incidents(conn: Connection, now: datetime) -> Iterator[Metric]:
    labels = ["cause", "subject", "severity"]
    age = GaugeMetricFamily(
        "ingest_incident_age_seconds", "Since an open incident's trouble began.", labels=labels
    )
    touched = GaugeMetricFamily("ingest_incident_workspaces", "Workspaces that it touches.", labels=labels)
    for row in incidents.list_incidents(conn):
        name = [row.cause, row.subject, row.severity]
        age.add_metric(name, (now - row.since).total_seconds())
        touched.add_metric(name, len(row.workspaces))
    messages = GaugeMetricFamily(
        "ingest_messages",
        "Messages about incidents: waiting, of these failing (tried in vain), and given up.",
        labels=["receiver", "state"],
    )
    for row in incidents.undelivered(conn):
        for state in ("waiting", "failing", "given_up"):
            messages.add_metric([row.receiver, state], _number(row, state))
    yield from (age, touched, messages)
    if (looked := incidents.last_look(conn)) is not None:
        yield _gauge(
            "ingest_watch_age_seconds", "Since the sensor `incidents` looked.", (now - looked).total_seconds()
        )


def _number(row: Any, name: str) -> float:
    return float(row._mapping[name])


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def serve(app: App, host: str, port: int) -> None:
    """Serve /metrics until Ctrl-C. Raises IngestError for a port that is taken."""
    registry = CollectorRegistry(auto_describe=False)
    app.engine  # noqa: B018  (raises before anything is started)
    registry.register(HealthCollector(app))
    try:
        _, thread = start_http_server(port, host, registry)
    except OSError:
        raise IngestError(f"Port {port} of {host} cannot be used; choose another one with --port.") from None
    echo(f"Serving http://{host}:{port}/metrics; Ctrl-C stops.")
    thread.join()
