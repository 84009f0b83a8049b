"""OpenMetrics for whoever watches from outside: each scrape asks the database once."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.health import Overview
from ingest_assets.terminal import echo


class HealthCollector(Collector):
    """Everything that `ops/sync_health` shows, workspace by workspace."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        app = self._app
        with app.engine.connect() as conn:
            found = Overview.read(conn, app.core, datetime.now(UTC))
        who = ["workspace", "source"]
        fresh = GaugeMetricFamily("ingest_fresh", "1 where every account is within the objective.", labels=who)
        age = GaugeMetricFamily(
            "ingest_age_seconds", "Since the last complete sync began; absent if there was none.", labels=who
        )
        rejected = GaugeMetricFamily("ingest_rejected_items", "Items that could not be parsed.", labels=who)
        for one in found.healths:
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
        objective = GaugeMetricFamily("ingest_objective_seconds", "How old a workspace's last sync may be.")
        objective.add_metric([], app.core.freshness_minutes * 60)
        yield from (fresh, age, rejected, states, syncs, objective)


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
