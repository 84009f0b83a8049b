"""Make checks one after the other: each has a time limit, and one that fails is a finding."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Thread

from ingest_assets.cli.doctor.finding import Finding, cannot, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.errors import IngestError, ProcessFault
from ingest_assets.storage.trouble import TROUBLES, cause_and_remedy
from ingest_assets.terminal import echo

SLOW_SECONDS = 2.0  # until it is told what is waited for
LIMIT_SECONDS = 60.0

DATABASE, TABLES = "database", "tables"
Told = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """One thing that is looked at."""

    name: str
    look: Callable[[Patient], Iterable[Finding]]
    needs: str | None = None
    """What must be there: a database that answers, or our tables in it."""
    limit: float = LIMIT_SECONDS
    asks_vendors: bool = False


def examine(patient: Patient, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what the checks come to; what cannot be looked at is one note in the end."""
    left: list[str] = []
    told: set[str] = set()
    for check in checks:
        if check.asks_vendors and patient.offline:
            continue
        if not _possible(patient, check.needs):
            left.append(check.name)
            continue
        for finding in _limited(check, patient):
            if finding.sentence not in told:  # keys that are none are in the way of several checks
                yield replace(finding, check=check.name)
            told.add(finding.sentence)
    if left:
        sentence = f"Not looked at, since the database cannot be used as it is: {', '.join(left)}."
        yield note(sentence, command=again(patient))


def again(patient: Patient) -> str:
    """Return the command that was given."""
    chosen = (("workspace", patient.workspace), ("source", patient.source))
    options = [f" --{name} {value}" for name, value in chosen if value is not None]
    return "ingest-assets doctor" + "".join(options)


def _possible(patient: Patient, needs: str | None) -> bool:
    if needs is None:
        return True
    return patient.answers and (needs == DATABASE or patient.readable)


def _limited(check: Check, patient: Patient) -> list[Finding]:
    """Make a check in a thread, which is left alone where it takes too long, with what it found so far."""
    found: list[Finding] = []
    thread = Thread(target=_safe, args=(check, patient, found), daemon=True)
    thread.start()
    try:
        thread.join(SLOW_SECONDS)
        if thread.is_alive():
            echo(f"Looking at {check.name} ...", err=True)
            thread.join(check.limit - SLOW_SECONDS)
    finally:
        if late := thread.is_alive():  # also after Ctrl-C
            patient.given_up.add(check.name)
    if late:
        sentence = f"Looking at {check.name} took longer than {check.limit:.0f} seconds and was given up."
        return [*found, problem(sentence, command=again(patient))]
    return found


def _safe(check: Check, patient: Patient, found: list[Finding]) -> None:
    try:
        for finding in check.look(patient):
            found.append(finding)  # one by one: what was found before a fault is kept  # noqa: PERF402
    except ProcessFault as fault:
        found.append(_split(str(fault)))
    except IngestError as error:
        found.append(problem(str(error), command=again(patient)))
    except TROUBLES as error:
        told = cause_and_remedy(error, patient.app.any_engine)
        found.append(_broken(check, error) if told is None else cannot(told[0], action=told[1]))
    except Exception as error:  # noqa: BLE001  (the others go on: a check that fails is a finding)
        found.append(_broken(check, error))


def _split(sentences: str) -> Finding:
    """Make a finding of a sentence that says after a semicolon what to do."""
    sentence, _, action = sentences.partition("; ")
    return cannot(f"{sentence.rstrip('.')}.", action=action[:1].upper() + action[1:] if action else None)


def _broken(check: Check, error: Exception) -> Finding:
    return problem(
        f"Looking at {check.name} failed ({type(error).__name__}), so it is not known.",
        action="Please report this; the other checks do not depend on it.",
    )
