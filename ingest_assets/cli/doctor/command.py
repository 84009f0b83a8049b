"""The command, and how findings are printed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import click

from ingest_assets.cli import CANNOT as EXIT_CANNOT
from ingest_assets.cli.doctor.finding import CANNOT, FINE, LEVELS, NOTE, PROBLEM, Finding
from ingest_assets.cli.help import Choice
from ingest_assets.sources import BY_NAME
from ingest_assets.terminal import echo, echo_json

EXIT = {CANNOT: EXIT_CANNOT, PROBLEM: 1, NOTE: 0, FINE: 0}
HEADS = {CANNOT: "Cannot", PROBLEM: "Problem", NOTE: "Note"}


@click.command()
@click.option("--workspace", help="look at the accounts of one workspace; default: all")
@click.option("--source", type=Choice(list(BY_NAME)), help="look at the accounts of one source")
@click.option("--offline", is_flag=True, help="ask no vendor")
@click.option("--json", "as_json", is_flag=True, help="print JSON, what is fine included")
@click.pass_context
def doctor(ctx: click.Context, workspace: str | None, source: str | None, *, offline: bool, as_json: bool) -> None:
    """Look for whatever may be wrong, and say what mends it; nothing is changed.

    It ends with 0 where nothing is wrong, with 1 where something is, and with 2 where no command can work.
    """
    from ingest_assets.cli.doctor.checks import CHECKS
    from ingest_assets.cli.doctor.patient import Patient, here
    from ingest_assets.cli.doctor.running import examine

    patient = Patient.of(here(), workspace=workspace, source=source, offline=offline)
    found = sorted(examine(patient, CHECKS), key=lambda one: LEVELS.index(one.level))
    if as_json:
        echo_json({"counts": Counter(one.level for one in found), "findings": [asdict(one) for one in found]})
    else:
        _print(found)
    ctx.exit(max((EXIT[one.level] for one in found), default=0))


def _print(found: Iterable[Finding]) -> None:
    counts = Counter(one.level for one in found)
    for one in found:
        if one.level == FINE:
            continue
        echo(f"{HEADS[one.level]}: {one.sentence}", bold=one.level != NOTE)
        if one.command is not None:
            echo(f"    {one.command}")
        elif one.action is not None:
            echo(f"    {one.action}")
    wrong = counts[CANNOT] + counts[PROBLEM]
    verdict = "Nothing is wrong" if not wrong else f"{wrong} {'problem' if wrong == 1 else 'problems'}"
    notes = f", {counts[NOTE]} {'note' if counts[NOTE] == 1 else 'notes'}" if counts[NOTE] else ""
    echo(f"{verdict}{notes}; {counts[FINE]} {'check is' if counts[FINE] == 1 else 'checks are'} fine.")
