"""Ctrl-C and SIGTERM: the first ends at a safe place, the second at once."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from ingest_assets.sync.stop import Stop

INTERRUPTED = 130
STDERR = 2
MESSAGE = b"Stopping at a safe place ... (once more: at once)\n"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_by_exception() -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that what it holds is let go."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """End the command by the first signal, after what is held was let go, and the process by the second."""
    stop = Stop()
    try:
        with stopping(stop), stop.calls(_interrupt):
            yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.exceptions.Exit(INTERRUPTED) from None


def _interrupt() -> None:
    """Cancel what an event loop of this thread runs; without one, raise KeyboardInterrupt."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise KeyboardInterrupt from None
    for task in asyncio.all_tasks(loop):
        loop.call_soon_threadsafe(task.cancel)


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Request a stop by the first signal, and end the process by the second."""
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked or stop.requested:
            os._exit(INTERRUPTED)
        asked = True  # before anybody is told: the second may come while the first is being handled
        os.write(STDERR, MESSAGE)  # not by a buffered stream, which we may have interrupted
        stop.request()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
