"""What goes on is told: on a terminal by a line that rewrites itself, in a file now and then, in `status` too."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import threading

import pytest

from ingest_assets.cli.progress import progress
from ingest_assets.storage.schema import accounts
from tests.commands import COMMAND
from tests.sources.tenants import TENANTS
from tests.workbench import Bench

LINE = re.compile(r"\r\x1b\[2K([^\r\n]*)")


@pytest.mark.parametrize("kind", TENANTS.values(), ids=lambda kind: kind.source.name)
def test_of_a_sync_is_told_on_the_terminal_and_in_status(bench: Bench, kind: type) -> None:
    tenant = kind(bench, "acme")
    for place in range(12):
        tenant.add(hours_ago=1 + 20 * place)
    tenant.connect()
    name = tenant.source.name
    bench.order("latency", seconds=2.5)
    ours, theirs = pty.openpty()
    said, in_status = "", None
    with subprocess.Popen(  # noqa: S603  (our own command)
        [COMMAND, "sync", name, "--workspace", "acme"],
        env=bench.shell(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            while chunk := os.read(ours, 65536).decode():
                said += chunk
                if in_status is None and "requests" in said:
                    [entry] = json.loads(bench.run("status", "--json").stdout)
                    in_status = entry["under_way"]
                    bench.order("latency", seconds=0)
        except OSError:  # how Linux says that nobody writes any more
            pass
        process.wait(timeout=60)
    os.close(ours)
    rewritten = [line for line in LINE.findall(said) if "requests" in line]
    assert any(f"'{tenant.account.name}'" in line for line in rewritten), said
    assert max(map(len, rewritten)) < 80
    assert said.endswith("\x1b[2Ksuccess\r\n")  # the line is gone in the end
    printed = [line.rpartition("\x1b[2K")[2] for line in said.split("\r\n")]
    assert printed[-2:] == ["success", ""]
    assert printed[-3].startswith("acme ")
    assert in_status is not None
    assert in_status["since"]
    with bench.engine.connect() as conn:
        assert conn.execute(accounts.select()).one().stage is None


def test_is_plain_lines_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    told = threading.Event()

    def words() -> str:
        told.set()
        return "Counting \x1b[2J rows"

    with progress(words, plain=0.01):
        assert told.wait(30)
    assert set(capsys.readouterr().err.splitlines()) == {"Counting \\x1b[2J rows"}
