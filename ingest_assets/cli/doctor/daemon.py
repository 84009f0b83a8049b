"""Checks of Dagster, by its files, its tables, and a process that loads the code location."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from ingest_assets.cli.doctor.finding import Finding, cannot, fine, many, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.cli.processes import LOOPBACK, WORKSPACE
from ingest_assets.storage.dagster_state import RUNNING, STOPPED, heartbeats, switches
from ingest_assets.storage.engine import CLOCKS_APART
from ingest_assets.storage.inspecting import looking
from ingest_assets.storage.schema import PAUSED
from ingest_assets.storage.trouble import TROUBLES, cause_and_remedy

SILENT = timedelta(minutes=5)  # each thread gives a sign every 30 seconds, and later while it is busy
NEEDED = frozenset({"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"})
START = "ingest-assets dev"
ADDRESS = "Write DAGSTER_POSTGRES_URL as postgresql+psycopg2://user:password@host:5432/database."
POSTGRES_STORAGES = frozenset({"KeptConnections", "DagsterPostgresStorage"})
LOCATION = "ingest_assets.definitions"
LOADING_SECONDS = 120.0
OURS = "ingest_assets."  # errors whose text says what to do


def home(patient: Patient) -> Iterator[Finding]:
    """Check whether Dagster's folder is here, and whether it keeps its storage in PostgreSQL."""
    if patient.home is None:
        yield note(
            "DAGSTER_HOME is not set here, so the instance that Dagster's processes use is not known.",
            action="Export DAGSTER_HOME as it is for these processes, or start them with `ingest-assets dev`.",
        )
        return
    file = patient.home / "dagster.yaml"
    if not file.is_file():
        yield problem(
            f"There is no {file}, so Dagster keeps its runs in files there, and reads no schedule of a database.",
            command=f"cp deploy/dagster.yaml {file}",
        )
    elif not _in_postgresql(file):
        yield problem(
            f"{file} does not keep Dagster's storage in PostgreSQL.",
            action="Take the section `storage` of deploy/dagster.yaml.",
        )
    else:
        yield fine(f"{file} keeps Dagster's storage in PostgreSQL.")
    if (url := patient.environ.get("DAGSTER_POSTGRES_URL")) and not url.startswith("postgresql+psycopg2://"):
        yield problem(
            "DAGSTER_POSTGRES_URL does not begin with postgresql+psycopg2://; Dagster's events fail without.",
            action="Write it so; what stands behind is as in DATABASE_URL.",
        )


def _in_postgresql(file: Path) -> bool:
    try:
        storage = (yaml.safe_load(file.read_text()) or {}).get("storage") or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        return False
    custom = storage.get("custom") or {}
    return "postgres" in storage or custom.get("class") in POSTGRES_STORAGES


def alive(patient: Patient) -> Iterator[Finding]:
    """Check whether Dagster's daemon gives signs, and reports no errors."""
    if (fault := _unreachable(patient)) is not None:
        yield fault
        return
    if not patient.dagster:
        yield note("Dagster has never used this database, so nothing is read by schedule.", command=START)
        return
    with looking(patient.app.dagster_engine) as conn:
        found = [one for one in heartbeats(conn) if one.daemon in NEEDED]
    now = patient.server.now
    last = max((one.at for one in found), default=None)
    if last is None:
        yield problem("Dagster's daemon has never given a sign, so nothing is read by schedule.", command=START)
    elif last - now > CLOCKS_APART:
        yield problem(
            f"Dagster's daemon gives signs of {_minute(last)} UTC, which PostgreSQL's clock has not reached.",
            action="Set the clock of the daemon's machine by NTP (`timedatectl set-ntp true`).",
        )
    elif now - last > SILENT:
        yield problem(
            f"Dagster's daemon gave its last sign at {_minute(last)} UTC, so nothing is read by schedule.",
            command=START,
        )
    else:
        silent = sorted(one.daemon for one in found if now - one.at > SILENT)
        if silent:
            yield problem(
                f"Of Dagster's daemon {' and '.join(silent)} gave no sign within {SILENT.seconds // 60} minutes.",
                action="Restart the process `dagster-daemon`; its log says what it hangs in.",
            )
        else:
            yield fine("Dagster's daemon gives signs.")
    failing = sorted(one.daemon for one in found if one.errors)
    if failing and last is not None and now - last <= SILENT:
        yield problem(
            f"Dagster's daemon reports errors of {' and '.join(failing)}.",
            action="Read its log, or the page Deployment of the web UI, which shows them.",
        )


def _unreachable(patient: Patient) -> Finding | None:
    """Tell why Dagster's storage cannot be reached, if it cannot."""
    try:
        patient.dagster  # noqa: B018  (raises)
    except ValueError:
        return problem("DAGSTER_POSTGRES_URL is no address of a PostgreSQL.", action=ADDRESS)
    except TROUBLES as error:
        told = cause_and_remedy(error, patient.app.dagster_engine)
        if told is None:
            raise
        return problem(f"Dagster's storage cannot be used: {told[0]}", action=ADDRESS)
    return None


def schedules(patient: Patient) -> Iterator[Finding]:
    """Check which schedules and sensors are off that accounts wait for."""
    if _unreachable(patient) is not None or not patient.dagster:
        return  # the check of the daemon tells it
    with looking(patient.app.dagster_engine) as conn:
        states = switches(conn)
    counts: dict[str, int] = {}
    for row in patient.accounts:
        if row.state != PAUSED:
            counts[row.source] = counts.get(row.source, 0) + 1
    for source, count in counts.items():
        if states.get(f"{source}_sync") == RUNNING:
            yield fine(f"The schedule {source}_sync is on.")
        else:
            yield _off(
                patient, "schedule", f"{source}_sync", f"no schedule reads {many(count, f'{source} account')}"
            )
    lost = {f"{source}_due": ("sensor", f"{source} accounts that fail are not retried") for source in counts}
    lost["workspace_keys"] = ("sensor", "new workspaces get no partition")
    lost["nightly_maintenance"] = ("schedule", "nothing old is deleted, and nothing is replayed")
    for name, (kind, what) in lost.items():
        if states.get(name) == STOPPED:
            yield _off(patient, kind, name, what)


def _off(patient: Patient, kind: str, name: str, what: str) -> Finding:
    sentence = f"The {kind} {name} is off, so {what}."
    if patient.environ.get("DAGSTER_HOME") and patient.environ.get("DAGSTER_POSTGRES_URL"):
        return problem(sentence, command=f"dagster {kind} start -w {WORKSPACE} {name}")
    where = f"http://{LOOPBACK}:{patient.app.core.web_port}/automation"
    return problem(sentence, action=f"Switch it on under Automation in the web UI ({where} where it runs here).")


def location(patient: Patient) -> Iterator[Finding]:
    """Load the code location in a process of its own, with the environment of this one."""
    done = subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-c", f"import {LOCATION}"],
        env=dict(patient.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LOADING_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        yield fine("The code location loads.")
        return
    kind, _, words = (done.stderr.strip().splitlines() or ["a signal"])[-1].partition(": ")
    why = words if kind.startswith(OURS) else f"{kind.rpartition('.')[2]}."
    yield cannot(
        f"The code location cannot be loaded with this environment: {why}",
        command=f'{os.path.relpath(sys.executable)} -c "import {LOCATION}"',
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
