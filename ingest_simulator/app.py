"""The simulator as an application and as a server on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from ipaddress import IPv4Address, IPv6Address, ip_address

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_simulator import control
from ingest_simulator.clock import Clock
from ingest_simulator.state import Simulator
from ingest_simulator.vendors import VENDORS
from ingest_simulator.wire import Protocol

LOOPBACK = "127.0.0.1"
PATIENCE = 1  # seconds that requests under way get when the server is told to stop


class HostError(ValueError):
    """The simulator is to be reachable from this machine only."""

    def __init__(self, host: str) -> None:
        super().__init__(f"The simulator serves loopback addresses only, not {host}.")


class _Server(uvicorn.Server):
    """Tells when it can be called."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Dated:
    """Gives every answer the simulated time as its `Date`, where uvicorn would tell the real one."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._clock.now(), usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        await self._app(scope, receive, dated)


def create_app() -> ASGIApp:
    """Return a simulator with empty worlds."""
    simulator = Simulator()
    served = [route for vendor in VENDORS for route in vendor.routes(simulator)]
    app = Starlette(routes=[*served, *control.routes(simulator)])
    return _Dated(app, simulator.clock)


def serve(host: str = LOOPBACK, port: int = 0, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is given the base URL. Port 0 takes a free one."""
    with _listening(host, port) as (listener, url):
        _server(lambda: None if ready is None else ready(url)).run(sockets=[listener])


@contextmanager
def running(host: str = LOOPBACK, port: int = 0) -> Iterator[str]:
    """Serve from a thread for as long as the block lasts, and give the base URL."""
    with _listening(host, port) as (listener, url):
        started = threading.Event()
        server = _server(started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not started.wait(0.1):
                if not thread.is_alive():
                    raise RuntimeError("The simulator stopped before it could be called.")
            yield url
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    address = ip_address(LOOPBACK) if host == "localhost" else _address(host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        shown = str(address) if address.version == 4 else f"[{address}]"
        yield listener, f"http://{shown}:{listener.getsockname()[1]}"


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(host)
    except ValueError as error:
        raise HostError(host) from error
    if not address.is_loopback:
        raise HostError(host)
    return address


def _server(ready: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        create_app(),
        http=Protocol,
        ws="none",
        lifespan="off",
        loop="auto",
        log_level="warning",
        access_log=False,
        date_header=False,
        timeout_graceful_shutdown=PATIENCE,
        timeout_keep_alive=60,
    )
    return _Server(config, ready)
