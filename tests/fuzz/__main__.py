"""python -m tests.fuzz --count 100000 [--only slack_messages] [--seed 1] [--keep INDEX --as NAME]"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from tests.fuzz.keeping import keep, shown
from tests.fuzz.parsers import PARSERS
from tests.fuzz.running import MEGABYTES, SECONDS, Figures, run

COUNT, SEED = 10_000, 1
PROGRESS_SECONDS = 2.0
COLUMNS = ("parser", "inputs", "per second", "slowest ms", "output ratio", "rejected", "peak MB", "findings")


def main() -> int:
    """Run all parsers or one; print figures and findings; return 1 where there is a finding."""
    given = _arguments()
    if given.keep is not None:
        print(keep(given.only[0], given.seed, given.keep, given.name))
        return 0
    chosen = given.only or list(PARSERS)
    state: dict[str, Figures] = {}
    writing, told = Lock(), [time.monotonic()]

    def follow(parser: str) -> None:
        for figures in run(parser, given.count, given.seed):
            with writing:
                state[parser] = figures
                if time.monotonic() - told[0] > PROGRESS_SECONDS:
                    told[0] = time.monotonic()
                    done = sum(one.inputs for one in state.values())
                    found = sum(len(one.findings) for one in state.values())
                    whole = given.count * len(chosen)
                    print(f"{done:,} of {whole:,} inputs, {found} findings, at {parser}", file=sys.stderr)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(follow, chosen))
    print("\n".join(_table([state[parser] for parser in chosen])))
    print(f"\nSeed {given.seed}; at most {SECONDS:g} s of CPU per input and {MEGABYTES} MB of memory per process.")
    findings = [finding for parser in chosen for finding in state[parser].findings]
    for finding in findings:
        print(f"\n{shown(finding)}")
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="inputs per parser")
    parser.add_argument("--only", action="append", choices=sorted(PARSERS))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", type=int, metavar="INDEX", help="make a case of this input of --only")
    parser.add_argument("--as", dest="name", help="the case's name")
    given = parser.parse_args()
    if given.keep is not None and (not given.only or not given.name):
        parser.error("--keep needs --only PARSER and --as NAME")
    return given


def _table(rows: Sequence[Figures]) -> Iterator[str]:
    cells = [
        COLUMNS,
        *(
            (
                one.parser,
                f"{one.inputs:,}",
                f"{one.inputs / max(one.seconds, 1e-9):,.0f}",
                f"{1000 * one.slowest:,.0f}",
                f"{one.largest_ratio:.1f}",
                f"{100 * one.rejected / max(one.inputs, 1):.0f} %",
                f"{one.megabytes:.0f}",
                f"{len(one.findings)} (+{one.more})" if one.findings else "0",
            )
            for one in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )


if __name__ == "__main__":
    sys.exit(main())
