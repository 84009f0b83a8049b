"""Checks of stored logins: whether they can be opened here, and in the processes that sync."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta

from ingest_assets.cli.doctor.finding import Finding, cannot, fine, many, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.errors import ProcessFault
from ingest_assets.storage.inspecting import looking
from ingest_assets.storage.process_reports import CODE_LOCATION, digest_of, find_process_reports
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.vault import Vault, sealed_elsewhere

NAMED = 3  # accounts in a sentence
RECENT = timedelta(minutes=5)  # the code location looks each half minute
KEYS = "INGEST_ENCRYPTION_KEYS"


def keys(patient: Patient) -> Iterator[Finding]:
    """Check whether INGEST_ENCRYPTION_KEYS opens every stored secret."""
    vault, shut, by_key = patient.app.vault, list[str](), Counter[int]()
    for who, stored in _sealed(patient):
        place = key_of(vault, stored)
        if place is None:
            shut.append(who)
        else:
            by_key[place] += 1
    if shut and not vault.keys:
        yield cannot(
            f"{many(len(shut), 'stored secret')} ({some(shut)}) cannot be read: {KEYS} is not set here.",
            action=f"Export {KEYS} as it was where they were stored.",
        )
    elif shut:
        yield cannot(
            f"{KEYS} does not hold the key here that {many(len(shut), 'stored secret')} ({some(shut)}) needs.",
            action=f"Put that key into {KEYS} again, behind the newer ones, or connect these accounts again.",
        )
    else:
        yield fine(f"All stored secrets ({by_key.total()}) can be opened here.")
    if old := sum(count for place, count in by_key.items() if place):
        yield note(
            f"{many(old, 'stored secret')} still need an older one of {KEYS}, which must stay until then.",
            command="ingest-assets rotate-keys",
        )


def key_of(vault: Vault, stored: Mapping[str, str]) -> int | None:
    """Return which of the keys opens a sealed value; None where none does."""
    for place, key in enumerate(vault.keys):
        try:
            Vault((key,)).open({"secret": stored}, who="")
        except ProcessFault:
            continue
        return place
    return None


def _sealed(patient: Patient) -> Iterator[tuple[str, Mapping[str, str]]]:
    for row in patient.accounts:
        for stored in row.credential.values():
            if "sealed" in stored:
                yield named(row), stored
    with looking(patient.app.any_engine) as conn:
        for what, stored in sealed_elsewhere(conn):
            yield what, stored


def variables(patient: Patient) -> Iterator[Finding]:
    """Check which variables that stored logins name are not set here."""
    missing = {name: who for name, who in _variables(patient).items() if not patient.environ.get(name)}
    for name, who in sorted(missing.items()):
        yield cannot(f"The variable {name}, which holds the login of {some(who)}, is not set here.",
                     action=f"Export {name}, as it is where the accounts are synced.")  # fmt: skip
    if not missing:
        yield fine("All variables that stored logins name are set here.")


def _variables(patient: Patient) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in patient.accounts:
        for stored in row.credential.values():
            if "env" in stored:
                found[stored["env"]].append(named(row))
    return found


def elsewhere(patient: Patient) -> Iterator[Finding]:
    """Check what the processes that sync cannot open, as far as they have said so."""
    wanted = _variables(patient)
    needed = {
        place for _who, stored in _sealed(patient) if (place := key_of(patient.app.vault, stored)) is not None
    }
    digests = {digest_of(patient.app.vault.keys[place]) for place in needed}
    with looking(patient.app.any_engine) as conn:
        reports = [row for row in find_process_reports(conn) if row.reported_at >= patient.server.now - RECENT]
    if not reports and (wanted or needed):
        yield note(
            "Whether the processes that sync can open the stored logins is not known: none has said so within the "
            f"last {RECENT.total_seconds() / 60:.0f} minutes.",
            action="Look again while Dagster runs; its code location says so each half minute.",
        )
    for row in reports:
        yield from _of_process(row, wanted, digests)
    hosts = sorted({row.host for row in reports if row.kind == CODE_LOCATION})
    if hosts:
        yield fine(f"Dagster's code location runs on {' and '.join(map(_host, hosts))}.")


def _of_process(row: StoredRow, wanted: Mapping[str, Sequence[str]], digests: set[str]) -> Iterator[Finding]:
    where = f"the {row.kind} on {_host(row.host)}, as of {row.reported_at.astimezone(UTC):%H:%M:%S} UTC"
    missing = [name for name in row.missing if name in wanted]
    for name in missing:
        yield problem(
            f"The variable {name}, which holds the login of {some(wanted[name])}, is not set in {where}.",
            action=f"Set {name} in the environment of that process, and restart it.",
        )
    if not digests <= set(row.keys):
        yield problem(
            f"{KEYS} does not hold the key of every stored login in {where}.",
            action=f"Set {KEYS} there as it is here, and restart that process.",
        )
    elif not missing:
        yield fine(f"All stored logins can be opened by {where}.")


def _host(host: str) -> str:
    return "this machine" if host == socket.gethostname() else f"the machine {host}"


def named(row: StoredRow) -> str:
    """Name an account in a list."""
    return f"{row.workspace_id}'s {row.source} account {row.name!r}"


def some(names: Sequence[str]) -> str:
    """List names, the first of many."""
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - NAMED} more" if len(once) > NAMED else ""
    return ", ".join(once[:NAMED]) + more
