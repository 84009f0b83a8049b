"""`python -m tests.proof soup --seconds 600 --seed 1`, `repeat slack 17`, or `write`: docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx

from ingest_simulator import embedded
from ingest_simulator.app import running
from tests.databases import Databases
from tests.proof.matrix import Outcome, killer, one_authority, outcomes
from tests.proof.page import write
from tests.proof.soup import Failure, Soup
from tests.proof.steps import NAMES


@contextmanager
def kitchen() -> Iterator[Soup]:
    """Start all that the soup needs, as the suite's fixtures do."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["SSL_CERT_FILE"] = one_authority(folder)
        databases = stack.enter_context(closing(Databases(embedded.start(folder / "postgres", durable=False))))
        url = stack.enter_context(running())
        sim = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        yield Soup(sim, databases, stack.enter_context(killer()))


def main() -> int:
    given = _arguments()
    failures: list[Failure] = []
    crashes: list[Outcome] = []
    with kitchen() as soup:
        if given.command == "write":
            crashes = list(outcomes(soup.sim, soup.databases, soup.killer))
        if given.command == "repeat":
            found = soup.seeded(given.source, given.number)
            failures = [found] if found is not None else []
        else:
            for failure in soup.for_seconds(given.seconds, given.seed, given.only or NAMES):
                print(f"{failure.source}, seed {failure.seed}: {failure.what}", flush=True)
                failures.append(failure)
        for failure in failures[:1]:
            print(soup.shortened(failure), flush=True)
    print("\n".join(fault for one in crashes for fault in one.faults))
    if given.command == "write":
        write(crashes, soup.tally, failures, seconds=given.seconds, seed=given.seed)
    print(soup.tally)
    return int(bool(failures) or any(one.faults for one in crashes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("soup", "write"):
        command = commands.add_parser(name)
        command.add_argument("--seconds", type=float, default=60, help="how long the soup takes")
        command.add_argument("--seed", type=int, default=1, help="the first of the seeds")
        command.add_argument("--only", action="append", choices=NAMES)
    repeat = commands.add_parser("repeat")
    repeat.add_argument("source", choices=NAMES)
    repeat.add_argument("number", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
