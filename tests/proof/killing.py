"""`python -m tests.proof.killing`: carry out operations in forks, and kill each at the commit that is asked for.

A line of JSON in, a line of JSON out. Everything is imported before, what a first fork imported late as well, and
no thread runs: so a fork costs some milliseconds where a new interpreter costs a second. The kill is SIGKILL:
nothing of ours runs after it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from ingest_assets.app import App
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.login import Clock
from tests.proof.commits import counted_commits
from tests.proof.operations import OPERATIONS

FAILED = 3  # the exit code of a fork that raised something


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _clock(now: datetime) -> Clock:
    """Make a clock on which only pauses take time, and those none of ours."""
    passed = timedelta()

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    return Clock(now=lambda: now + passed, sleep=sleep)


def carry_out(order: Mapping[str, Any]) -> None:
    """Do what is ordered in this process, and print how many commits it took; a kill prints nothing."""
    app = App.load(order["environ"])
    app.engine  # noqa: B018  (what it takes to begin is not part of the operation)
    known = set(sys.modules)
    operation, clock = OPERATIONS[order["operation"]], _clock(datetime.fromisoformat(order["now"]))
    with counted_commits(order["at"], _kill, before=order["before"]) as commits:
        outcome = operation.run(app, BY_NAME[order["source"]], clock, f"worker {order['at']}")
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
