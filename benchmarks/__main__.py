"""Measure what a sync costs: `python -m benchmarks [--only slack] [--out build/bench.json]`.

Exit codes: 0 every target is met, 1 one is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import features, proof, slack, source
from benchmarks.jobs import JOBS
from benchmarks.results import Result
from benchmarks.stage import Stage, stage
from ingest_assets.cli.output import print_table

BENCHMARKS: Mapping[str, Callable[[Stage], Iterator[Result]]] = {
    "slack": slack.benchmark,
    **{name: partial(source.benchmark, job) for name, job in JOBS.items()},
    "features": features.benchmark,
    "proof": proof.benchmark,
}
VERDICT = {True: "yes", False: "NO", None: ""}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a sync costs.")
    parser.add_argument("--only", choices=BENCHMARKS, help="one part; default: all")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"), help="where to write the figures")
    given = parser.parse_args()
    chosen = [given.only] if given.only else list(BENCHMARKS)
    with stage() as ready:
        results = [result for name in chosen for result in BENCHMARKS[name](ready)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([result.public() for result in results], indent=2) + "\n")
    show(results)
    return 1 if any(result.ok is False for result in results) else 0


def show(results: Sequence[Result]) -> None:
    """Print the figures beside their targets."""
    print_table(
        ["what", "value", "unit", "target", "met"],
        [
            {
                "what": result.name,
                "value": result.shown,
                "unit": result.unit,
                "target": result.target,
                "met": VERDICT[result.ok],
            }
            for result in results
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
