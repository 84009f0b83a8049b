"""What is typed or piped into a command: lines of standard input, never more of them than were asked for."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ingest_assets.errors import IngestError

STDIN = 0
LONGEST_LINE = 65_536  # bytes; a terminal itself hands over 4,095 at most


def read_secret(prompt: str) -> str:
    """Ask for a secret on the terminal, unseen; off a terminal, read a line of standard input."""
    value: str = click.prompt(prompt, hide_input=True) if _is_terminal() else _line()
    if not value:
        raise IngestError(f"Standard input held no {prompt}.")
    return value


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _line() -> str:
    """Read one line and not a byte more: what follows may be for another reader."""
    line = bytearray()
    if sys.stdin is None:
        return ""
    try:
        while len(line) < LONGEST_LINE and (byte := os.read(STDIN, 1)) not in (b"", b"\n"):
            line += byte
    except OSError:  # closed, or a terminal that is not ours now
        return ""
    return line.decode(errors="replace").strip()


@contextmanager
def lines(take: Callable[[str], None], ended: Callable[[], None]) -> Iterator[None]:
    """Hand over each line of standard input while the block lasts, and tell when there are no more."""
    loop, reader = asyncio.get_running_loop(), _Reader(take, ended)
    if sys.stdin is None:  # closed when we began: another file may have its number by now
        loop.call_soon(ended)
        yield
        return
    try:
        loop.add_reader(STDIN, lambda: reader.read() or loop.remove_reader(STDIN))
    except PermissionError:  # a file, which needs no waiting for
        loop.call_soon(reader.read_all)
    except OSError:  # closed
        loop.call_soon(ended)
    try:
        yield
    finally:
        loop.remove_reader(STDIN)


class _Reader:
    """Cuts what standard input holds into lines."""

    def __init__(self, take: Callable[[str], None], ended: Callable[[], None]) -> None:
        self._take, self._ended = take, ended
        self._rest = b""

    def read(self) -> bool:
        """Read what is there; false once there will be no more."""
        try:
            piece = os.read(STDIN, LONGEST_LINE)
        except OSError:
            piece = b""
        *whole, last = (self._rest + piece).split(b"\n")
        self._rest = last[-LONGEST_LINE:]
        if not piece and last:  # a last line without an end
            whole.append(last)
        for line in whole:
            self._take(line.decode(errors="replace"))
        if not piece:
            self._ended()
        return bool(piece)

    def read_all(self) -> None:
        while self.read():
            pass
