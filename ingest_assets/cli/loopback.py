"""The server on this machine that a browser is redirected to (RFC 8252, 7.3); one right request ends it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import Enum

from ingest_assets.errors import IngestError

ADDRESS = "127.0.0.1"  # never another: what comes here is a login
LONGEST_HEAD = (
    32_768  # bytes of a request's line and headers: cookies of other programs on this address come along
)
PATIENCE = 10  # seconds for a request's head: browsers open connections that they may never use
MOST_AT_ONCE = 32


class Page(Enum):
    """What the browser is shown: status and text."""

    DONE = (200, "The login has arrived. Close this window; the terminal tells the rest.")
    REFUSED = (200, "The login was not granted. Close this window; the terminal tells why.")
    FOREIGN = (400, "This does not belong to the login that is waited for. Open the address in the terminal.")
    NOTHING = (404, "There is nothing here.")
    WRONG = (405, "Only GET is answered here.")
    TOO_LONG = (431, "This request is too long.")


Judge = Callable[[str], Page]
"""(query of a request for the redirect's path) -> what the browser is shown."""

_HTML = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>ingest-assets</title><p>{}"
)
_HEAD = (
    "HTTP/1.1 {status} {status}\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: {length}\r\n"
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n\r\n"
)


@asynccontextmanager
async def loopback(port: int, path: str, judge: Judge, answered: Callable[[], None]) -> AsyncGenerator[int]:
    """Serve one path, and give the port; 0 takes a free one. `answered`: called when a page that ends it was sent.

    Raises IngestError for a port that cannot be had.
    """
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            busy.add(task)
            task.add_done_callback(busy.discard)
        page = Page.NOTHING
        try:
            page = page if len(busy) > MOST_AT_ONCE else await _judged(reader, path, judge)
            await _send(writer, page)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever asked has left; what was judged counts all the same
        finally:
            writer.close()
            if page in (Page.DONE, Page.REFUSED):
                answered()

    try:
        server = await asyncio.start_server(serve, ADDRESS, port, limit=LONGEST_HEAD)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "out of range"
        raise IngestError(
            f"Port {port} of {ADDRESS} cannot be listened on ({reason}); pass another --port."
        ) from None
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in busy.copy():
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def _judged(reader: asyncio.StreamReader, path: str, judge: Judge) -> Page:
    try:
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return Page.TOO_LONG
    method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    asked, _, query = rest.rpartition(" ")[0].partition("?")
    if asked != path:
        return Page.NOTHING
    return judge(query) if method == "GET" else Page.WRONG


async def _send(writer: asyncio.StreamWriter, page: Page) -> None:
    status, text = page.value
    body = _HTML.format(text).encode()
    writer.write(_HEAD.format(status=status, length=len(body)).encode() + body)
    await writer.drain()
