"""Checks of this machine: settings, and space on its disks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from ingest_assets.cli.doctor.finding import Finding, cannot, fine, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.settings import NO_DATABASE

GIB = 2**30
LEAST = 2 * GIB  # free, however large the disk is
LITTLE, LITTLE_SHARE = 5 * GIB, 0.05  # less than both of these is too little, too
LOCAL = ("localhost", "127.0.0.1", "::1")


def settings(patient: Patient) -> Iterator[Finding]:
    """Check which settings cannot be used, and whether the database is named."""
    for fault in patient.faults:
        yield cannot(fault, action="Set it right, or unset it; docs/settings.md lists all settings.")
    if patient.app.core.database_url is None:
        named = any("DATABASE_URL" in fault for fault in patient.faults)
        sentence, _, action = NO_DATABASE.partition("; ")
        if not named:
            yield cannot(f"{sentence}.", action=action[:1].upper() + action[1:])
    elif not patient.faults:
        yield fine("All settings can be used.")


def disk(patient: Patient) -> Iterator[Finding]:
    """Tell how much room there is where Dagster and the database write, as far as that is here."""
    folders = {"Dagster's folder": patient.home, "the database": _database(patient)}
    for what, folder in folders.items():
        if folder is not None and folder.exists():
            yield room(what, folder)
    if folders["the database"] is None:
        yield note("How full the disk of the database is, is not known here.", action="Look at it on its machine.")


def room(what: str, folder: Path) -> Finding:
    """Judge the disk that a folder is on."""
    total, _used, free = shutil.disk_usage(folder)
    left = f"{free / GIB:.1f} of {total / GIB:.0f} GiB are free where {what} is ({folder})"
    if free < LEAST or (free < LITTLE and free < total * LITTLE_SHARE):
        return problem(f"Only {left}.", action="Free some, or add some: PostgreSQL stops where it cannot write.")
    return fine(f"{left}.")


def _database(patient: Patient) -> Path | None:
    """Return the server's folder, where it is a local one that it tells us of."""
    if not patient.answers:
        return None
    host = patient.app.any_engine.url.host or patient.app.any_engine.url.query.get("host", "")
    folder = patient.server.folder
    local = not host or str(host).startswith("/") or host in LOCAL
    return Path(folder) if local and folder is not None and _visible(folder) else None


def _visible(folder: str) -> bool:
    try:
        return Path(folder).exists()
    except OSError:  # of another user, who lets nobody look
        return False
