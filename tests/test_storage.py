"""What the database promises: readers see one workspace, only a change touches a row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from ingest_assets.features.featured import FEATURED
from ingest_assets.storage.engine import connect, require_current
from ingest_assets.storage.migrate import migrate
from ingest_assets.storage.schema import metadata
from tests.sources.tenants import TENANTS
from tests.workbench import Bench, Workspace

HIDDEN = "ingest.suppressed"  # no reader's business
TABLES = sorted(str(table) for table in metadata.sorted_tables if "workspace_id" in table.columns)


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.workspace("acme", "general")
    made.say_many("general", 5)
    return made


class TestAReader:
    @pytest.fixture
    def reader(self, bench: Bench) -> Iterator[str]:
        """A role that may read everything, as far as the policies let it."""
        role = f"reader_{uuid4().hex[:12]}"
        bench.execute(
            f"create role {role}; grant usage on schema raw, ingest, features to {role}; "
            f"grant select on all tables in schema raw, ingest, features to {role}"
        )
        yield role
        bench.execute(f"drop owned by {role}; drop role {role}")

    def seen(self, bench: Bench, role: str, workspace_id: str | None, table: str) -> set[str]:
        with bench.engine.connect() as conn:
            conn.execute(text(f"set local role {role}"))
            if workspace_id is not None:
                conn.execute(text("select set_config('ingest.workspace_id', :name, true)"), {"name": workspace_id})
            return set(conn.execute(text(f"select workspace_id from {table}")).scalars())

    def test_sees_only_the_workspace_that_its_session_names(self, bench: Bench, reader: str) -> None:
        bench.configure(
            OPENAI_API_KEY="sk",
            OPENAI_BASE_URL=f"{bench.sim.base_url}/openai/v1",
            OPENAI_MODEL="gpt-test",
            INGEST_LLM_MODE="batch",
        )
        bench.order("openai/key", key="sk")
        for name in ("acme", "globex"):
            for kind in TENANTS.values():
                tenant = kind(bench, name)
                tenant.add()
                tenant.add_malformed()
                tenant.connected().reads()
                tenant.reads()  # some lists of names come with the second sync
            bench.execute(
                "insert into ingest.check_reports (workspace_id, source, check_name, passed, reason) "
                "values (:name, 'slack', 'fresh', true, '')",
                name=name,
            )
            bench.execute("insert into ingest.partition_reports values (:name, 'slack', false, now())", name=name)
            bench.execute(
                "insert into ingest.unreadable_parts "
                "(account_id, part, workspace_id, name, code, since, attempts, last_tried_at) "
                "select account_id, 'C1', :name, '#general', 'not_in_channel', now(), 1, now() "
                "from ingest.accounts where workspace_id = :name",
                name=name,
            )
            bench.execute(
                "insert into ingest.held_deletions "
                "(account_id, table_name, external_id, workspace_id, part, flagged) "
                "select account_id, 'slack_messages', 'C1:1', :name, '#general', false from ingest.accounts "
                "where workspace_id = :name",
                name=name,
            )
            bench.execute(
                "insert into ingest.operations (workspace_id, command, options, who) values (:name, '', '{}', '')",
                name=name,
            )
            bench.execute(
                "insert into ingest.sightings (account_id, table_name, external_id, workspace_id) "
                "select account_id, 'fathom_sessions', '1', :name from ingest.accounts where workspace_id = :name",
                name=name,
            )
            bench.execute("insert into ingest.suppressed (workspace_id, digest) values (:name, '')", name=name)
            bench.execute("update raw.slack_messages set updated_at = now() where workspace_id = :name", name=name)
            for featured in FEATURED:
                assert bench.app.extractor("test").run(featured, name).submitted > 0
                assert bench.app.extractor("test").run(featured, name).extracted > 0
        for whose in ("acme", "globex", None):
            assert self.seen(bench, reader, whose, HIDDEN) == set()
        for table in (*sorted({*TABLES} - {HIDDEN}), "ingest.coverage", "raw.slack_messages_as_of(now())"):
            assert self.seen(bench, reader, "acme", table) == {"acme"}, table
            assert self.seen(bench, reader, "globex", table) == {"globex"}, table
            assert self.seen(bench, reader, "nobody", table) == set(), table
            assert self.seen(bench, reader, None, table) == set(), table

    def test_cannot_write(self, bench: Bench, acme: Workspace, reader: str) -> None:
        acme.reads()
        with bench.engine.connect() as conn:
            conn.execute(text(f"set local role {reader}"))
            with pytest.raises(Exception, match="permission denied"):
                conn.execute(text("delete from raw.slack_messages"))


class TestARow:
    def versions(self, workspace: Workspace) -> dict[str, tuple[Any, ...]]:
        with workspace.bench.engine.connect() as conn:
            rows = conn.execute(
                text("select external_id, xmin::text, ctid::text, updated_at from raw.slack_messages")
            )
            return {row.external_id: tuple(row) for row in rows}

    def test_is_touched_only_when_its_payload_changed(self, acme: Workspace) -> None:
        acme.reads()
        before = self.versions(acme)
        acme.reads()
        assert self.versions(acme) == before
        edited = max(acme.rows)
        acme.order("edit", channel="general", ts=edited, text="changed")
        acme.reads()
        after = self.versions(acme)
        changed = {key for key in before if before[key] != after[key]}
        assert changed == {acme.rows[edited].external_id}
        assert acme.rows[edited].updated_at > acme.rows[edited].first_seen_at

    def test_that_was_deleted_comes_back_when_slack_shows_it_again(self, acme: Workspace) -> None:
        acme.reads()
        ts = max(acme.rows)
        payload = acme.rows[ts].raw
        acme.order("delete", channel="general", ts=ts)
        acme.reads()
        assert ts not in acme.living
        acme.order("raw", channel="general", payload=payload)
        acme.reads()
        assert ts in acme.living

    def test_keeps_what_slack_sent_to_the_letter(self, acme: Workspace) -> None:
        ts = acme.say("general", "hello", hours_ago=1, extra={"novelty": {"deep": [1, 2.5, None, "x"]}})
        acme.reads()
        assert acme.rows[ts].raw["novelty"] == {"deep": [1, 2.5, None, "x"]}


class TestTheSchema:
    def test_can_be_migrated_again_without_effect(self, bench: Bench) -> None:
        migrate(bench.engine)
        require_current(bench.engine)

    def test_is_what_the_tables_in_the_program_say(self, bench: Bench) -> None:
        with bench.engine.connect() as conn:
            found = {
                (row.table_schema, row.table_name, row.column_name)
                for row in conn.execute(
                    text(
                        "select table_schema, table_name, column_name from information_schema.columns "
                        "join information_schema.tables using (table_schema, table_name) "
                        "where table_schema in ('raw', 'ingest', 'features') and table_name <> 'alembic_version' "
                        "and table_type = 'BASE TABLE'"
                    )
                )
            }
        declared = {
            (table.schema, table.name, column.name) for table in metadata.sorted_tables for column in table.columns
        }
        assert found == declared

    def test_protects_every_table_that_holds_a_workspaces_rows(self, bench: Bench) -> None:
        with bench.engine.connect() as conn:
            protected = set(
                conn.execute(
                    text("select relnamespace::regnamespace || '.' || relname from pg_class where relrowsecurity")
                ).scalars()
            )
        assert protected == {str(table) for table in metadata.sorted_tables}

    def test_survives_a_first_migration_of_an_empty_database(self, postgres: Any) -> None:
        name = f"empty_{uuid4().hex[:12]}"
        engine = connect(postgres.create_database(name))
        try:
            migrate(engine)
            require_current(engine)
        finally:
            engine.dispose()
            postgres.drop_database(name)


class TestImporting:
    @pytest.mark.parametrize(
        "module", ["ingest_assets.sources", "ingest_assets.cli.program", "ingest_assets.sync.account"]
    )
    def test_neither_connects_nor_reads_the_environment(self, module: str) -> None:
        program = (
            "import sys\n"
            "def refuse(event, args):\n"
            "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.bind', 'subprocess.Popen'):\n"
            "        raise RuntimeError(event)\n"
            "sys.addaudithook(refuse)\n"
            f"import {module}\n"
        )
        done = subprocess.run(  # noqa: S603  (our own program)
            [sys.executable, "-W", "error", "-c", program],
            env={"DATABASE_URL": "nonsense", "INGEST_NONSENSE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
