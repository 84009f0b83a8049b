"""What docs/reliability.md says: numbers that a run came to, and the command that makes them again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.numbers import filled
from tests.proof.matrix import Outcome
from tests.proof.soup import Failure
from tests.proof.tally import Tally

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
LOST = ("lost", "not marked", "stale", "marked as deleted while it is shown")


def write(
    crashes: Sequence[Outcome], tally: Tally, failures: Sequence[Failure], *, seconds: float, seed: int
) -> None:
    """Fill the page's tables."""
    text = filled(PAGE.read_text(), "crashes", _crashes(crashes))
    text = filled(text, "soup", _soup(tally, failures, seconds, seed))
    PAGE.write_text(text)


def _crashes(crashes: Sequence[Outcome]) -> Iterator[str]:
    by_operation: defaultdict[str, list[Outcome]] = defaultdict(list)
    for one in crashes:
        by_operation[one.operation].append(one)
    yield from ("| operation | sources | kills | ended differently | requests, at most |", "|---|---|---|---|---|")
    for operation, some in by_operation.items():
        sources = ", ".join(one.source for one in some)
        kills, faults = sum(one.kills for one in some), sum(len(one.faults) for one in some)
        ratio = max((one.most_calls / one.calls for one in some if one.calls), default=0)
        asked = f"{ratio:.1f} times" if ratio else "none"
        yield f"| {operation} | {sources} | {kills} | {faults} | {asked} |"
    yield f"| all | | {sum(one.kills for one in crashes)} | {sum(len(one.faults) for one in crashes)} | |"


def _soup(tally: Tally, failures: Sequence[Failure], seconds: float, seed: int) -> Iterator[str]:
    said = [line for failure in failures for line in failure.what.splitlines()]
    lost = sum(line.startswith(LOST) for line in said)
    yield f"`python -m tests.proof write --seconds {seconds:g} --seed {seed}`"
    yield from ("", "| | |", "|---|---|")
    yield f"| episodes | {tally.episodes:,} |"
    yield f"| steps | {tally.steps:,} |"
    yield f"| faults of vendors | {tally.faults:,} |"
    yield f"| syncs, of which killed | {tally.syncs + tally.kills:,}, {tally.kills:,} |"
    yield f"| claims of success that were compared with the vendor's truth | {tally.successes:,} |"
    yield f"| untrue claims of success | {sum(failure.what.startswith('success') for failure in failures)} |"
    yield f"| items compared when all faults were gone | {tally.rows:,} |"
    yield f"| of these lost, stale or not marked as deleted | {lost} |"
    yield f"| episodes with anything untrue | {len(failures)} |"
