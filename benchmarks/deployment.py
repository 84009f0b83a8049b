"""Dagster's services as processes of their own, as on a server: started, killed and measured one by one."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest_assets.cli.processes import INSTANCE, LOOPBACK, dagster_environment

PROGRAMS = Path(sys.executable).parent
START_SECONDS, STOP_SECONDS = 120, 20
MODULE = "ingest_assets.definitions"
TICKS = os.sysconf("SC_CLK_TCK")
CODE_SERVER, DAEMON, WEB = "code server", "daemon", "web server"


class DeploymentError(Exception):
    """A service did not do what it should."""


@dataclass
class Deployment:
    """Code server, daemon and whatever else is asked for, on a database."""

    database_url: str
    home: Path
    environ: Mapping[str, str]
    instance: Path = INSTANCE
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port, self.web_port = free_port(), free_port()
        prepared = dagster_environment(self.database_url, self.home, self.environ)
        (self.home / "dagster.yaml").write_text(self.instance.read_text())
        self._given = {**prepared, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}  # dagster-celery calls celery
        self._commands = {
            CODE_SERVER: ["dagster", "api", "grpc", "-h", LOOPBACK, "-p", str(self.port), "-m", MODULE],
            DAEMON: ["dagster-daemon", "run", *self._where()],
            WEB: ["dagster-webserver", *self._where(), "-h", LOOPBACK, "-p", str(self.web_port)],
        }

    def _where(self) -> list[str]:
        return ["--grpc-host", LOOPBACK, "--grpc-port", str(self.port)]

    def start(self, *names: str) -> None:
        """Start services and wait until those that listen do."""
        for name in names:
            self.run(name, self._commands[name])
            if name in {CODE_SERVER, WEB}:
                port = self.port if name == CODE_SERVER else self.web_port
                self.wait(f"the {name} to listen", lambda port=port: _listens(port))  # type: ignore[misc]  # bound now

    def run(self, name: str, command: list[str]) -> None:
        """Start a program of this environment as the service `name`."""
        with (self.home / f"{name.replace(' ', '-')}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603  our own commands
                [str(PROGRAMS / command[0]), *command[1:]],
                env=self._given,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a service and all its children with -9, as a machine that loses its power."""
        process = self.processes.pop(name)
        for pid in [process.pid, *descendants(process.pid)]:
            _signal(pid, signal.SIGKILL)
        process.wait(timeout=STOP_SECONDS)

    def kill_all(self) -> None:
        """Kill all services that are left, as a machine that loses its power."""
        for name in list(self.processes):
            self.kill(name)

    def stop(self) -> None:
        """End all services, the daemon first."""
        for name in reversed(list(self.processes)):
            process = self.processes[name]
            children = descendants(process.pid)
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=STOP_SECONDS)
            for pid in children:
                _signal(pid, signal.SIGKILL)
        self.processes.clear()

    def wait(self, what: str, done: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Poll until something is so. Raises DeploymentError when it is late or a service ended."""
        deadline = time.monotonic() + seconds
        while not done():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise DeploymentError(f"The {name} ended while we waited for {what}; see {self.home}.")
            if time.monotonic() > deadline:
                raise DeploymentError(f"Waited {seconds:.0f} s for {what} in vain; see the logs in {self.home}.")
            time.sleep(0.25)  # between looks at processes that we cannot wait on

    def cpu(self) -> dict[str, float]:
        """CPU-seconds so far by service; the code server's children are the runs."""
        found = {}
        for name, process in self.processes.items():
            own, reaped = cpu_times(process.pid)
            below = reaped + sum(sum(cpu_times(pid)) for pid in descendants(process.pid))
            if name == CODE_SERVER:
                found[name], found["runs"] = own, below
            else:
                found[name] = own + below
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def descendants(pid: int) -> list[int]:
    """Return all living processes below one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def cpu_times(pid: int) -> tuple[float, float]:
    """Return a process's CPU-seconds, and those of its children that ended."""
    stat = _stat(pid)
    if not stat:
        return 0.0, 0.0
    user, system, children_user, children_system = (int(value) / TICKS for value in stat[11:15])
    return user + system, children_user + children_system


def _stat(pid: int) -> list[str]:
    """Return the fields after the command's name (which may hold spaces), state first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
