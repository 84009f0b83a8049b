"""Inputs through a parser, in a process of its own: bounded, measured, and watched from outside."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from random import Random
from typing import Any

from tests.fuzz.mutations import deeply, size
from tests.fuzz.parsers import PARSERS
from tests.fuzz.storable import Refused
from tests.memory import peak_megabytes

SECONDS = 2.0
"""CPU time of one input. The largest inputs here have two megabytes; a lease lasts 15 s where it is shortest."""
AGAIN = 3  # times a slow input is measured, of which the fastest counts: other processes disturb the caches
MEGABYTES = 300
"""Peak memory of the whole process, of which the program itself has about a third."""
FREE_OUTPUT = 200_000  # bytes of output that any input may have
HANG_SECONDS = 30.0  # of CPU time without a next input, after which the process is killed
STALL_SECONDS = 240.0  # the same, of wall time: it waits for something
TOLD = 0.25  # seconds between two words of a worker to its watcher
LARGE = 100_000  # characters of an input, after which garbage is collected
KEPT = 8  # findings a parser; more of them are counted


@dataclass(frozen=True)
class Finding:
    """An input that broke a rule, and where to find it again."""

    parser: str
    seed: int
    index: int
    what: str
    """A kind of fault: its inputs are told once."""


@dataclass
class Figures:
    """What a parser's run came to."""

    parser: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    largest_ratio: float = 0.0
    rejected: int = 0
    megabytes: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Inputs with a finding that was told already."""

    def note(self, finding: Finding) -> None:
        """Keep a finding, if it is of a new kind."""
        if len(self.findings) < KEPT and finding.what not in {known.what for known in self.findings}:
            self.findings.append(finding)
        else:
            self.more += 1


def input_of(parser: str, seed: int, index: int) -> Any:
    """Make an input; the same three always make the same one."""
    with deeply():
        return PARSERS[parser].make(Random(f"{seed}/{parser}/{index}"))  # noqa: S311  (repeatable on purpose)


def fault_of(parser: str, made: Any) -> tuple[str | None, Any]:
    """Parse an input; return what is wrong, or None, and the outcome."""
    length = size(made)
    try:
        outcome = PARSERS[parser].parse(made)
    except Refused as error:
        return f"unstorable: {error}", None
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what we look for)
        return f"raised {_place(error)}", None
    if outcome.size > PARSERS[parser].most_output * length + FREE_OUTPUT:
        return f"output: more than {PARSERS[parser].most_output} times the input", outcome
    return None, outcome


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ingest_assets" in frame.filename]
    frame = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.name}"


def measured(parser: str, seed: int, index: int) -> tuple[str | None, Any, float, int]:
    """Make and parse an input; return its fault, its outcome, CPU seconds and its size."""
    best = float("inf")
    for _time in range(AGAIN):
        made = input_of(parser, seed, index)
        length = size(made)
        began = time.process_time()
        fault, outcome = fault_of(parser, made)
        best = min(best, time.process_time() - began)
        if best <= SECONDS:
            return fault, outcome, best, length
    return fault or f"slow: more than {SECONDS:g} s", outcome, best, length


def work(parser: str, seed: int, indexes: range, figures: Figures, place: Any, queue: Any) -> None:
    """Run inputs one after the other, until all are done or too much memory is held.

    `place`: shared with the watcher, the index of the input under way. `queue`: gets the figures now and then.
    """
    told, known = time.monotonic(), len(figures.findings)
    gc.disable()  # its passes would count as an input's time
    fault_of(parser, input_of(parser, seed, 0))  # what is imported and read at the first call counts for none
    gc.freeze()
    for index in indexes:
        place.value = index
        fault, outcome, seconds, length = measured(parser, seed, index)
        _note(figures, seed, index, fault, outcome, seconds, length)
        if length > LARGE:
            gc.collect()  # else the next one would be blamed for what this one left
        if len(figures.findings) > known or time.monotonic() - told > TOLD:
            gc.collect()
            queue.put(figures)
            told, known = time.monotonic(), len(figures.findings)
        if peak_megabytes() > MEGABYTES:
            break  # a fresh process goes on
    place.value = figures.inputs
    queue.put(figures)
    queue.put(None)


def _note(
    figures: Figures, seed: int, index: int, fault: str | None, outcome: Any, seconds: float, size: int
) -> None:
    figures.inputs = index + 1
    figures.seconds += seconds
    figures.slowest = max(figures.slowest, seconds)
    figures.megabytes = max(figures.megabytes, peak_megabytes())
    if outcome is not None:
        figures.rejected += outcome.rejected
        if outcome.size > FREE_OUTPUT:
            figures.largest_ratio = max(figures.largest_ratio, outcome.size / size)
    if fault is not None:
        figures.note(Finding(figures.parser, seed, index, fault))
    if peak_megabytes() > MEGABYTES:
        figures.note(Finding(figures.parser, seed, index, f"memory: more than {MEGABYTES} MB"))


def run(parser: str, count: int, seed: int) -> Iterator[Figures]:
    """Run so many inputs in processes that are watched; yield the figures as they grow, the final ones last."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fuzz.parsers"])
    figures = Figures(parser)
    while figures.inputs < count:
        place, queue = context.Value("q", figures.inputs), context.Queue()
        indexes = range(figures.inputs, count)
        process = context.Process(target=work, args=(parser, seed, indexes, figures, place, queue), daemon=True)
        process.start()
        try:
            ended = False
            for news in _told(process, queue, place):
                figures, ended = (news, ended) if news is not None else (figures, True)
                yield figures
        finally:
            process.kill()
            process.join()
        if not ended:
            what = (
                "hang or death: no next input within"
                if process.exitcode == -9
                else "death: the process ended within"
            )
            figures.note(Finding(parser, seed, place.value, f"{what} {HANG_SECONDS:g} s"))
            figures.inputs = place.value + 1
    yield figures


def _told(process: Any, queue: Any, place: Any) -> Iterator[Figures | None]:
    """Yield what a worker tells, None at its end; end without, where it hangs or dies."""
    heard, spent, seen = time.monotonic(), 0.0, -1
    while process.is_alive() or not queue.empty():
        try:
            news = queue.get(timeout=TOLD)
        except Empty:
            used = _cpu_seconds(process.pid)
            if place.value != seen:
                heard, spent, seen = time.monotonic(), used, place.value
            elif used - spent > HANG_SECONDS or time.monotonic() - heard > STALL_SECONDS:
                return
            continue
        yield news
        if news is None:
            return
        seen = -1


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time that another process has used, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system = fields[11:13]  # proc(5): utime and stime, counted from the state, which is the third field
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
