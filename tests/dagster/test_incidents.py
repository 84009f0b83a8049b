"""The real daemon: an incident's message reaches its receiver once, though everything is killed while sending."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from benchmarks import crowd
from benchmarks.deployment import CODE_SERVER, DAEMON, Deployment
from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.cli.processes import INSTANCE
from ingest_assets.sources.slack import SLACK
from tests import survivors
from tests.incidents.receiver import inbox

PATIENCE = 240.0


@pytest.mark.timeout(420)
def test_a_message_arrives_once_though_its_sender_was_killed(
    database_url: str, simulator: Simulator, tmp_path: Path
) -> None:
    names = ["acme", "globex"]
    crowd.found(simulator, SLACK, names, survivors.ITEMS)
    with inbox() as hook:
        hook.holds = Event()
        environ = {
            **survivors.environ(simulator),
            "INGEST_ALERT_WEBHOOK_URL": hook.url,
            "INGEST_ALERT_WEBHOOK_KEY": "k3y",
            "INGEST_ALERT_TIMEOUT_SECONDS": "20",
        }
        app = App.load({**environ, "DATABASE_URL": database_url})
        crowd.connect(app, SLACK, names)
        simulator.order("/slack/token", team=crowd.CUSTOMERS["slack"].external_id("acme"), revoked=True)
        with app.engine.begin() as conn:
            conn.exec_driver_sql("update ingest.accounts set due_at = now()")
        deployment = Deployment(
            database_url, tmp_path / "dagster", environ, instance=survivors.instance(INSTANCE, tmp_path)
        )
        try:
            deployment.start(CODE_SERVER, DAEMON)
            deployment.wait("the message to be under way", hook.arrived.is_set, PATIENCE)
            deployment.kill_all()  # -9, while the receiver has the message and has not answered
            hook.holds.set()
            hook.holds = None
            assert len(hook.requests) == 1
            deployment.start(CODE_SERVER, DAEMON)
            deployment.wait("the second try", lambda: len(hook.requests) == 2, PATIENCE)

            def sent() -> bool:
                with app.engine.connect() as conn:
                    rows = conn.exec_driver_sql("select sent_at from ingest.incident_messages").all()
                return len(rows) == 1 and rows[0].sent_at is not None

            deployment.wait("its answer to be noted", sent, PATIENCE)
        finally:
            deployment.kill_all()
            app.engine.dispose()
        assert hook.taken == ["incident-1-opened-1"]
        first, second = hook.requests
        assert first["body"] == second["body"]
        assert hook.bodies[0]["data"]["workspaces"] == ["acme"]
        logs = "".join(path.read_text(errors="replace") for path in (tmp_path / "dagster").glob("*.log"))
        assert "s3cret" not in logs
        assert "k3y" not in logs
