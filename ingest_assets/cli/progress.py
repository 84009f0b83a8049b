"""What goes on meanwhile, on stderr: on a terminal a line that rewrites itself, else a line now and then."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ingest_assets.sources.source import Source
from ingest_assets.sync.worker import Worker
from ingest_assets.terminal import echo, rewrite

FIRST, EVERY = 2.0, 0.25
"""Seconds until the first line on a terminal, and between two of them: what is done sooner needs none."""
PLAIN = 15.0
"""The same for both where stderr is a file or a pipe."""


@contextmanager
def progress(words: Callable[[], str], *, plain: float = PLAIN) -> Iterator[None]:
    """Tell what `words` returns, again and again for as long as the block lasts."""
    done = threading.Event()
    tell = partial(_on_terminal, words, done) if _rewrites() else partial(_plainly, words, done, plain)
    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()


def elapsed(what: str) -> Callable[[], str]:
    """Return what tells for how long something has been done, where nothing else is known of it."""
    began = time.monotonic()
    return lambda: f"{what} ... ({time.monotonic() - began:.0f} s)"


def under_way(source: Source, worker: Worker, done: int = 0, total: int = 1) -> str:
    """Return what is being read of one account, and of how many more."""
    reads, now = list(worker.under_way.values()), worker.clock.now()
    counted = f"{source.title}: {done} of {total} workspaces done" if total > 1 else source.title
    if not reads:
        return f"{counted} ..."
    account = reads[0].account
    more = f" (and {len(reads) - 1} more accounts)" if len(reads) > 1 else ""
    return f"{counted}; {account.workspace_id} '{account.name}': {reads[0].stage().words(now)}{more}"


def _rewrites() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _on_terminal(words: Callable[[], str], done: threading.Event) -> None:
    if done.wait(FIRST):
        return
    try:
        rewrite(words())
        while not done.wait(EVERY):
            rewrite(words())
    finally:
        rewrite("")


def _plainly(words: Callable[[], str], done: threading.Event, every: float) -> None:
    while not done.wait(every):
        echo(words(), err=True)
