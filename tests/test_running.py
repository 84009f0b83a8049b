"""`ingest-assets dev`: three lines on the terminal, the rest in a log, and nobody left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ingest_assets.cli.processes import INSTANCE, LOG, LOOPBACK, WORKSPACE
from tests.commands import COMMAND
from tests.workbench import Bench

REPOSITORY = Path(__file__).parent.parent
PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between looks at other processes


class Dev:
    """The command, in a folder that looks like the project's."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        (folder / INSTANCE).parent.mkdir()
        shutil.copyfile(REPOSITORY / INSTANCE, folder / INSTANCE)
        shutil.copyfile(REPOSITORY / WORKSPACE, folder / WORKSPACE)
        self.folder, self.port = folder, free_port()
        self.environ = bench.shell(INGEST_WEB_PORT=str(self.port), PYTHONPATH=str(REPOSITORY))
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(  # noqa: S603
            [COMMAND, "dev"],
            env=self.environ,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{self.port}/server_info", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def left(self) -> list[int]:
        """The processes that work for this folder's Dagster."""
        home = f"DAGSTER_HOME={self.folder.resolve()}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and home in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is another user's
        return found


@pytest.fixture
def dev(bench: Bench, tmp_path: Path) -> Iterator[Dev]:
    made = Dev(bench, tmp_path)
    yield made
    for pid in made.left():
        os.kill(pid, signal.SIGKILL)
    if made.process is not None:
        made.process.kill()
        made.process.communicate()


class TestDev:
    def test_prints_three_lines_and_logs_to_a_file_until_ctrl_c(self, dev: Dev) -> None:
        process = dev.start()
        until(dev.answers)
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=PATIENCE)
        assert printed.splitlines() == [
            "Dagster starts: web server, daemon and code server. Ctrl-C stops them.",
            f"Web UI, in some seconds: http://{LOOPBACK}:{dev.port}",
            f"Log: {LOG}",
        ]
        assert (process.returncode, complained) == (130, "Stopping at a safe place ... (once more: at once)\n")
        assert f"http://{LOOPBACK}:{dev.port}" in (dev.folder / LOG).read_text()
        until(lambda: not dev.left())

    def test_leaves_nobody_behind_when_the_terminal_is_closed(self, dev: Dev) -> None:
        process = dev.start()
        until(lambda: len(dev.left()) > 1)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=PATIENCE)
        until(lambda: not dev.left())

    def test_says_where_to_look_when_dagster_ends_by_itself(self, dev: Dev) -> None:
        (dev.folder / INSTANCE).write_text("storage: nonsense\n")
        process = dev.start()
        _, complained = process.communicate(timeout=PATIENCE)
        assert (process.returncode, complained) == (2, f"Dagster stopped by itself; {LOG} says why.\n")
        assert "loading dagster storage" in (dev.folder / LOG).read_text()


STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print("deaf", flush=True))
print("up", flush=True)
while True:
    signal.pause()
"""
DRIVER = f"""
import os, sys
from ingest_assets.cli.processes import process
with process([sys.executable, "-c", {STUBBORN!r}], os.environ) as child:
    print(child.pid, flush=True)
    child.wait()
"""


def test_a_second_ctrl_c_kills_what_does_not_end() -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        assert driver.stdout is not None
        try:
            pid, up = sorted(driver.stdout.readline().strip() for _ in range(2))
            assert up == "up"
            driver.send_signal(signal.SIGINT)
            assert driver.stdout.readline() == "deaf\n"
            driver.send_signal(signal.SIGINT)
            assert driver.wait(timeout=PATIENCE) != 0
            assert not Path(f"/proc/{pid}").exists()
        finally:
            driver.kill()
