"""Run `ingest-assets` in a fork of a process that has imported it, and all that a command may import later: most
of a short command is its imports.

For each command the server forks a child, which takes on the given arguments, environment and files, and runs what
the installed script runs. It ends as an interpreter ends, but takes nothing apart, which would take longer than
most commands. What it writes and its exit code are a command's.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

COMMAND = Path(sys.executable).parent / "ingest-assets"
LONGEST_REQUEST = 1 << 20
TIMEOUT = 60.0
COMMANDS = [f"ingest_assets.{part}" for part in ("cli", "features", "incidents", "sources", "storage", "sync")]


class Commands:
    """Runs commands, one at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Start the server with the variables that an interpreter reads when it starts."""
        self._folder = tempfile.TemporaryDirectory(prefix="ingest-assets-commands-")
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen()
            descriptor = listening.fileno()
            self._server = subprocess.Popen(  # noqa: S603  (our own module)
                [sys.executable, "-m", "tests.commands", str(descriptor)], env=environ, pass_fds=[descriptor]
            )

    def run(
        self, arguments: list[str], environ: Mapping[str, str], stdin: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises TimeoutError after a minute, and ends it then."""
        folder, argv = str(Path.cwd()), [str(COMMAND), *arguments]
        request = json.dumps([argv, dict(environ), folder]).encode()
        with (
            tempfile.TemporaryFile("w+") as given,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            given.write(stdin)
            given.seek(0)
            connection.settimeout(TIMEOUT)
            connection.connect(self._address)
            socket.send_fds(connection, [request], [file.fileno() for file in (given, out, err)])
            answers = connection.makefile()
            command = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(command, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(argv, code, out.read(), err.read())

    def close(self) -> None:
        self._server.kill()
        self._server.wait()
        self._folder.cleanup()


def import_all() -> None:
    """Import what commands import when they need it, but for what is Dagster's alone."""
    for package in COMMANDS:
        path = import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            import_module(module.name)


def serve(listening: socket.socket) -> None:
    """Fork a child for each connection, and return in the one that is to run the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children who wait for commands end unheard
    while True:
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listening.close()
        request, files, _flags, _address = socket.recv_fds(connection, LONGEST_REQUEST, 3)
        command = os.fork()
        if not command:
            connection.close()
            argv, environ, folder = json.loads(request)
            become(argv, environ, folder, files)
            return
        connection.sendall(f"{command}\n".encode())
        _, status = os.waitpid(command, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)


def become(argv: list[str], environ: dict[str, str], folder: str, files: list[int]) -> None:
    """Take on a command's arguments, environment, folder and files."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    time.tzset()
    sys.argv = argv


def run_and_end(main: Callable[[], None]) -> None:
    """Run a command; where it ends as commands do, end at once."""
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]  # with which an interpreter begins to end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


if __name__ == "__main__":
    from ingest_assets.cli.program import main

    import_all()
    gc.freeze()  # a collection in a child would copy the pages of all that it looks at
    serve(socket.socket(fileno=int(sys.argv[1])))
    run_and_end(main)
