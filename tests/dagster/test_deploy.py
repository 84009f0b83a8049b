"""The files under deploy/ are what their tools expect."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_celery.launcher import CeleryRunLauncher
from dagster_k8s import K8sRunLauncher

from ingest_assets.resources.dagster_storage import KEPT
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.engine import connect
from tests import needs

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
NO_CLUSTER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "users": [{"name": "none", "user": {}}],
}


def snake(value: Any) -> Any:
    """Write keys as the chart does: the launcher's own are camelCase in values and snake_case in dagster.yaml."""
    if not isinstance(value, dict):
        return value
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): inner for key, inner in value.items()}


def load(tmp_path: Path, text: str) -> dg.DagsterInstance:
    (tmp_path / "dagster.yaml").write_text(text)
    return dg.DagsterInstance.from_config(str(tmp_path))


@pytest.fixture
def environ(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", sqlalchemy_url(database_url, "psycopg2"))
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://127.0.0.1:1/1")


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("path", ["dagster.yaml", "celery/dagster.yaml"])
def test_dagster_loads_the_instance(tmp_path: Path, path: str) -> None:
    with load(tmp_path, (DEPLOY / path).read_text()) as instance:
        assert isinstance(instance.run_launcher, CeleryRunLauncher) == (path != "dagster.yaml")
        assert instance.run_monitoring_enabled
        assert instance.get_runs() == []


@pytest.mark.usefixtures("environ")
def test_all_instances_of_a_process_share_their_connections(tmp_path: Path, database_url: str) -> None:
    """The contract of `resources/dagster_storage.py`, over a restart of the server as far as a client sees one."""
    text = (DEPLOY / "dagster.yaml").read_text()
    others = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        " and application_name <> 'ingest_assets'"
    )
    engine = connect(database_url)
    for _ in range(3):
        with load(tmp_path, text) as instance:
            for _ in range(5):
                instance.get_runs()
                instance.all_instigator_state()
                instance.get_asset_keys()
            with dg.DagsterInstance.from_ref(instance.get_ref()) as again:
                assert again.get_runs() == []
        with engine.connect() as conn:
            kept = conn.exec_driver_sql(others).scalar_one()
            assert 1 <= kept <= KEPT
            conn.exec_driver_sql(others.replace("count(*)", "count(pg_terminate_backend(pid))"))
    engine.dispose()


@pytest.mark.usefixtures("environ")
def test_dagster_loads_the_launcher_of_the_helm_values(tmp_path: Path) -> None:
    values = yaml.safe_load((DEPLOY / "kubernetes/values.yaml").read_text())
    chosen = snake(values["runLauncher"]["config"]["k8sRunLauncher"])
    chosen["run_k8s_config"] = snake(chosen["run_k8s_config"])
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(NO_CLUSTER))
    instance = {
        "run_launcher": {
            "module": "dagster_k8s",
            "class": values["runLauncher"]["type"],
            "config": {
                **chosen,
                "load_incluster_config": False,  # what the chart would add, and no cluster to talk to
                "kubeconfig_file": str(kubeconfig),
                "service_account_name": "dagster",
                "instance_config_map": "dagster-instance",
                "postgres_password_secret": "dagster-postgresql-secret",
                "dagster_home": "/opt/dagster/dagster_home",
            },
        }
    }
    with load(tmp_path, yaml.safe_dump(instance)) as loaded:
        launcher = loaded.run_launcher
        assert isinstance(launcher, K8sRunLauncher)
        settled: Any = launcher.run_k8s_config
        assert settled["container_config"]["resources"]["limits"] == {"memory": "1Gi"}
        assert launcher.fail_pod_on_run_failure is False


def test_compose_accepts_its_file(tmp_path: Path) -> None:
    compose = needs.program("docker-compose", "docker-compose")
    for name in ("compose.yaml", "Dockerfile"):
        (tmp_path / name).write_text((DEPLOY / name).read_text())
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=secret\nINGEST_ENCRYPTION_KEYS=key\n")
    done = subprocess.run(  # noqa: S603
        [compose, "-f", "compose.yaml", "config"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"postgres", "redis", "migrate", "code", "web", "daemon", "worker", "metrics"}
    assert services["web"]["environment"]["DATABASE_URL"] == "postgresql://ingest:secret@postgres:5432/ingest"


def test_what_the_files_name_exists() -> None:
    root = DEPLOY.parent
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for name in line.split()[1:-1]:
                assert (root / name).exists(), name
    assert (root / "deploy/celery/workspace.yaml").exists()
