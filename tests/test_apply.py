"""`apply`: accounts as a file says, a difference first; `.env` and the key that it keeps."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.workspaces import workspace_ids
from tests.commands import COMMAND
from tests.sources.tenants import GmailTenant, GongTenant
from tests.workbench import Bench

FATHOM = {"api_key": "env:FATHOM_ACME"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "workspaces.yaml"


@pytest.fixture
def vendors(bench: Bench) -> Bench:
    """Logins at two vendors, whose secrets stand in variables."""
    for name in ("acme", "globex"):
        world = {"channels": [{"name": "general"}]}
        bench.order("slack/team", token=f"xoxb-{name}", name=name.title(), world=world)
    bench.order("fathom/org", name="Acme", api_key="fathom-acme", meetings=2)
    bench.configure(SLACK_ACME="xoxb-acme", SLACK_GLOBEX="xoxb-globex", FATHOM_ACME="fathom-acme")
    return bench


def both(**slack: Any) -> dict[str, Any]:
    return {
        "acme": {"slack": {"token": "env:SLACK_ACME", **slack}, "fathom": FATHOM},
        "globex": {"slack": {"token": "env:SLACK_GLOBEX"}},
    }


def applied(bench: Bench, file: Path, content: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    file.write_text(
        content if isinstance(content, str) else yaml.safe_dump({"workspaces": content}, sort_keys=False)
    )
    return bench.run("apply", str(file), *arguments)


def stored(bench: Bench) -> dict[tuple[str, str, str], Any]:
    with bench.engine.connect() as conn:
        return {(row.workspace_id, row.source, row.name): row.settings for row in find_accounts(conn)}


class TestAFile:
    def test_is_applied_once_and_then_only_what_changed(self, vendors: Bench, file: Path) -> None:
        tried = applied(vendors, file, both(), "--dry-run")
        assert (tried.returncode, stored(vendors)) == (0, {})
        assert tried.stdout.splitlines() == [
            "+ acme slack",
            "+ acme fathom",
            "+ globex slack",
            "0 as they are, 3 to connect or to change.",
        ]
        done = applied(vendors, file, both())
        assert (done.returncode, done.stderr) == (0, "")
        assert set(stored(vendors)) == {
            ("acme", "slack", "Acme"),
            ("acme", "fathom", "default"),
            ("globex", "slack", "Globex"),
        }
        since = vendors.requests()
        assert applied(vendors, file, both()).stdout == "3 as they are, 0 to connect or to change.\n"
        assert vendors.requests() == since
        changed = applied(vendors, file, both(channels=["general"]))
        assert changed.stdout.splitlines() == [
            "~ acme slack: channels: None -> ['general']",
            "2 as they are, 1 to connect or to change.",
            "Changed Slack 'Acme' of acme.",
        ]
        assert len(stored(vendors)["acme", "slack", "Acme"]["channels"]) == 1
        vendors.run("connect", "slack", "--workspace", "acme", "--token", "env:SLACK_ACME")
        assert applied(vendors, file, both(channels=["general"]), "--dry-run").stdout.startswith("+ acme slack\n")

    def test_takes_away_only_what_prune_says(self, vendors: Bench, file: Path) -> None:
        applied(vendors, file, both())
        less = {"acme": {"slack": {"token": "env:SLACK_ACME"}}}
        shown = applied(vendors, file, less)
        assert shown.stdout.splitlines() == [
            "? acme fathom 'default'",
            "? globex",
            "1 as they are, 0 to connect or to change; 2 not in the file, which only --prune takes away.",
        ]
        assert len(stored(vendors)) == 3
        assert applied(vendors, file, less, "--prune").returncode == 2  # nobody answers
        assert len(stored(vendors)) == 3
        wrong = less | {"initech": {"slack": {"token": "env:NOT_SET"}}}
        failed = applied(vendors, file, wrong, "--prune", "--yes")
        assert (failed.returncode, len(stored(vendors))) == (2, 3)
        assert "The variable NOT_SET is not set" in failed.stderr
        assert "Nothing was disconnected or removed" in failed.stderr
        pruned = applied(vendors, file, less, "--prune", "--yes")
        assert pruned.returncode == 0, pruned.stderr
        assert set(stored(vendors)) == {("acme", "slack", "Acme")}
        with vendors.engine.connect() as conn:
            assert workspace_ids(conn) == ["acme"]

    def test_stops_at_no_account_that_fails(self, vendors: Bench, file: Path) -> None:
        content = both() | {"acme": {"slack": {"token": "env:FATHOM_ACME"}, "fathom": FATHOM}}
        done = applied(vendors, file, content)
        assert done.returncode == 2
        assert done.stderr.startswith("acme slack: ")
        assert len(stored(vendors)) == 2
        assert json.loads(vendors.run("operations", "--json").stdout)[0]["exit_code"] == 2

    def test_may_have_several_accounts_and_one_login_for_many(self, bench: Bench, file: Path) -> None:
        gong, gmail = GongTenant(bench, "acme"), GmailTenant(bench, "acme")
        secrets = {name.upper(): value for name, value in (gong.secrets | gmail.secrets).items()}
        bench.configure(**secrets)
        key = {name: f"env:{name.upper()}" for name in gong.secrets}
        content = {
            "acme": {
                "gong": [{"name": "EU", **key, **gong.settings, "newest_calls": 5}],
                "gmail": {"client_id": "client", **{name: f"env:{name.upper()}" for name in gmail.secrets}},
            }
        }
        assert applied(bench, file, content).returncode == 0
        assert stored(bench)["acme", "gong", "EU"]["newest_calls"] == 5
        assert applied(bench, file, content).stdout.startswith("2 as they are, 0 to connect")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "has to hold `workspaces:`"),
            ("a: [", "line"),
            ("workspaces:\n  acme: {}\n  acme: {}\n", "line 3: the key 'acme' stands twice"),
            ({"Acme Inc": {}}, "'Acme Inc' cannot name a workspace"),
            ("workspaces:\n  123: {}\n", "quotation marks around a number"),
            ({"acme": []}, "has to hold its sources"),
            ({"acme": {"slak": {"token": "env:X"}}}, "'slak' is no source: did you mean slack?"),
            ({"acme": {"slack": {"tokens": "env:X"}}}, "'tokens' is no field: did you mean token?"),
            ({"acme": {"slack": {"token": "xoxb-secret-1"}}}, "token has to be a reference, env:NAME;"),
            ({"acme": {"slack": {"token": {"deep": 1}}}}, "token has to be a value"),
            ({"acme": {"slack": "env:X"}}, "has to hold what `ingest-assets connect slack --help` names"),
            ("workspaces: &a\n  acme: *a\n", ""),
            ("workspaces: !!python/object/apply:os.system ['true']\n", ""),
            ("[" * 5000, "is not YAML"),
            ("\x00", "is not YAML"),
        ],
    )
    def test_that_cannot_be_used_is_one_sentence_and_changes_nothing(
        self, vendors: Bench, file: Path, content: Any, words: str
    ) -> None:
        good = {"acme": {"fathom": FATHOM}}
        mixed = good | content if isinstance(content, dict) else content
        done = applied(vendors, file, mixed)
        assert (done.returncode, done.stderr.count("\n"), stored(vendors)) == (2, 1, {}), done.stderr
        assert words in done.stderr
        assert "xoxb-secret" not in done.stderr

    def test_that_is_empty_takes_nothing_away(self, vendors: Bench, file: Path) -> None:
        """As a template that rendered to nothing does."""
        applied(vendors, file, both())
        contents: list[Any] = [{}, "workspaces:\n"]
        for content in contents:
            emptied = applied(vendors, file, content, "--prune", "--yes")
            assert (emptied.returncode, "--prune would take away everything" in emptied.stderr) == (2, True)
        assert len(stored(vendors)) == 3

    def test_that_is_not_there_or_too_large(self, bench: Bench, file: Path) -> None:
        assert "cannot be read" in bench.run("apply", str(file)).stderr
        file.write_text("#" * 1_000_001)
        assert "1,000,000 are allowed" in bench.run("apply", str(file)).stderr


class TestTheEnvironmentsFile:
    def run(self, bench: Bench, folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        shell = bench.shell(**environ)
        for name in ("DATABASE_URL", "INGEST_ENCRYPTION_KEYS"):
            if name not in environ:
                shell.pop(name)
        return subprocess.run(  # noqa: S603  (our own command)
            [COMMAND, *arguments], env=shell, cwd=folder, capture_output=True, text=True, check=False
        )

    def test_is_read_and_gives_way_to_the_environment(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(f"DATABASE_URL={bench.database_url}\n")
        assert self.run(bench, tmp_path, "accounts").returncode == 0
        elsewhere = self.run(bench, tmp_path, "accounts", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        assert elsewhere.returncode == 2
        (tmp_path / ".env").write_text(f"\ufeffDATABASE_URL={bench.database_url}\r\n")  # as Notepad saves it
        assert self.run(bench, tmp_path, "accounts").returncode == 0
        (tmp_path / ".env").write_text("INGEST_LEASE_SECOND=5\n")
        assert "did you mean INGEST_LEASE_SECONDS?" in self.run(bench, tmp_path, "accounts").stderr
        (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
        unread = self.run(bench, tmp_path, "accounts")
        assert (unread.returncode, unread.stderr.startswith(".env cannot be read")) == (2, True)

    def test_keeps_a_key_that_nobody_else_may_read(self, bench: Bench, tmp_path: Path) -> None:
        file = tmp_path / ".env"
        file.write_text("# ours\nOTHER=1")
        file.chmod(0o644)
        first = self.run(bench, tmp_path, "new-key", "--save")
        assert (first.returncode, first.stderr) == (0, "")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        [key] = [line for line in file.read_text().splitlines() if line.startswith("INGEST_ENCRYPTION_KEYS=")]
        assert key.partition("=")[2] not in first.stdout
        assert file.read_text().startswith("# ours\nOTHER=1\n")
        again = self.run(bench, tmp_path, "new-key", "--save")
        assert "rotate-keys" in again.stdout
        [keys] = [line for line in file.read_text().splitlines() if line.startswith("INGEST_ENCRYPTION_KEYS=")]
        newer, older = keys.partition("=")[2].split(",")
        assert (older, newer != older) == (key.partition("=")[2], True)
        assert self.run(bench, tmp_path, "rotate-keys", DATABASE_URL=bench.database_url).returncode == 0
        told = self.run(bench, tmp_path, "new-key", "--save", INGEST_ENCRYPTION_KEYS=older)
        assert "is set in the environment, too, and that one counts" in told.stderr
