"""Start Dagster (web UI, daemon, code server) as processes of ours, and stop every one of them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

import click

from ingest_assets.app import App
from ingest_assets.cli.signals import INTERRUPTED, MESSAGE, SIGNALS, STDERR
from ingest_assets.errors import IngestError
from ingest_assets.settings import sqlalchemy_url
from ingest_assets.terminal import echo

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 1.4  # a sync ends after the page under way, which takes less
LOOK_SECONDS = 0.05  # between looks at a group, of which only the first process can be waited on
INSTANCE, WORKSPACE = Path("deploy/dagster.yaml"), Path("workspace.yaml")
HOME = Path(".dagster")
LOG = HOME / "dagster.log"


@contextmanager
def process(command: list[str], environ: Mapping[str, str], **popen: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a process group of its own, and stop the whole group at the end."""
    child: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603  (our own commands)
        command, env=dict(environ), start_new_session=True, text=True, **popen
    )
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[str]) -> None:
    """End a group: what is at a safe place within a moment ends by itself; a second signal waits no longer."""
    with suppress(ProcessLookupError):  # all of them have ended
        with suppress(KeyboardInterrupt, SystemExit):
            os.killpg(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                child.poll()  # the group's first process is ours to bury
                os.killpg(child.pid, 0)
                time.sleep(LOOK_SECONDS)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def dagster_environment(database_url: str, home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Prepare DAGSTER_HOME and the variables that Dagster's processes need."""
    if not (INSTANCE.exists() and WORKSPACE.exists()):
        raise IngestError(f"Run this from the project's folder: {INSTANCE} and {WORKSPACE} are not here.")
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(INSTANCE, home / "dagster.yaml")
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "DAGSTER_POSTGRES_URL": sqlalchemy_url(database_url, "psycopg2"),
        "DAGSTER_HOME": str(home.resolve()),
        "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",  # which no user of ours can act on
        **more,
    }


def dagster_command(port: int) -> list[str]:
    program = Path(sys.executable).parent / "dagster"
    return [str(program), "dev", "-w", str(WORKSPACE), "-h", LOOPBACK, "-p", str(port)]


def require_free(port: int, choose_with: str) -> None:
    """Raise IngestError when something listens on the port; `choose_with` names what chooses another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise IngestError(
                f"Port {port} is in use; stop what listens there, or choose another one with {choose_with}."
            ) from None


def end_with_sigterm() -> None:
    """End by an exception on SIGTERM, or when the terminal is closed, so that every process is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def stop_by_signal() -> None:
    """Let Ctrl-C and SIGTERM end what was started, with a sentence; the second one kills it."""
    end_with_sigterm()

    def stop(_number: int, _frame: object) -> NoReturn:
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)
        os.write(STDERR, MESSAGE)
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, stop)


def dev(app: App) -> None:
    """Run Dagster on the user's database until Ctrl-C. Raises IngestError where it ends before."""
    stop_by_signal()
    app.engine  # noqa: B018  (raises before anything is started)
    require_free(app.core.web_port, "INGEST_WEB_PORT")
    environ = dagster_environment(app.database_url, HOME, {})
    echo("Dagster starts: web server, daemon and code server. Ctrl-C stops them.")
    echo(f"Web UI, in some seconds: http://{LOOPBACK}:{app.core.web_port}")
    echo(f"Log: {LOG}")
    try:
        with (
            output(LOG) as log,
            process(dagster_command(app.core.web_port), environ, stdout=log, stderr=subprocess.STDOUT) as child,
        ):
            child.wait()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    raise IngestError(f"Dagster stopped by itself; {LOG} says why.")


def output(path: Path) -> IO[str]:
    """Open a log file for a process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w")
