"""`python -m tests.proof.killing`: carry out operations in forks, and kill each at the commit that is asked for.

A line of JSON in, a line of JSON out. Everything is imported before, what a first fork imported late as well, and
no thread runs: so a fork costs some milliseconds where a new interpreter costs a second. The kill is SIGKILL:
nothing of ours runs after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from ingest_assets.app import App
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.login import Clock
from tests.proof.operations import OPERATIONS

FAILED = 3  # the exit code of a fork that raised something


class Commits:
    """Counts the commits of this process, and kills it before or after one of them."""

    def __init__(self, at: int, *, before: bool) -> None:
        self.number = 0
        self._at, self._before, self._lock = at, before, threading.Lock()

    def watch(self) -> None:
        commit = psycopg.Connection.commit

        def counted(connection: psycopg.Connection[Any]) -> None:
            number = self._next(connection)
            if number == self._at and self._before:
                os.kill(os.getpid(), signal.SIGKILL)
            commit(connection)
            if number == self._at:
                os.kill(os.getpid(), signal.SIGKILL)

        psycopg.Connection.commit = counted  # type: ignore[method-assign, assignment]  # here alone

    def _next(self, connection: psycopg.Connection[Any]) -> int:
        """Return the number of a commit; 0 for one of nothing."""
        if connection.info.transaction_status is TransactionStatus.IDLE:
            return 0
        with self._lock:
            self.number += 1
            return self.number


def carry_out(order: Mapping[str, Any]) -> None:
    """Do what is ordered in this process, and print how many commits it took; a kill prints nothing."""
    commits = Commits(order["at"], before=order["before"])
    now = datetime.fromisoformat(order["now"])
    app = App.load(order["environ"])
    app.engine  # noqa: B018  (what it takes to begin is not part of the operation)
    commits.watch()
    known = set(sys.modules)
    outcome = OPERATIONS[order["operation"]].run(
        app, BY_NAME[order["source"]], Clock(now=lambda: now), f"worker {order['at']}"
    )
    imported = sorted(sys.modules.keys() - known)
    told = {"killed": False, "commits": commits.number, "outcome": outcome, "imported": imported}
    print(json.dumps(told), flush=True)


def main() -> None:
    for source in SOURCES:
        source.connector()
    for line in sys.stdin:
        for name in json.loads(line)["imports"]:
            with suppress(ImportError):  # a name that a package gives to a part of itself
                import_module(name)
        if (process := os.fork()) == 0:
            code = FAILED
            try:
                carry_out(json.loads(line))
                code = 0
            except BaseException as error:  # noqa: BLE001  (a fork must not go on as its parent)
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        _, status = os.waitpid(process, 0)
        ended = os.waitstatus_to_exitcode(status)
        if ended != 0:
            print(json.dumps({"killed": ended == -signal.SIGKILL, "code": ended}), flush=True)


if __name__ == "__main__":
    main()
