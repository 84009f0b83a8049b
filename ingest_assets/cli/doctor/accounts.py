"""Checks of accounts, by what is stored: state, freshness, lost parts, what waits for an operator, quota."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote

from ingest_assets.cli.doctor.finding import Finding, cannot, fine, many, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.cli.reconnecting import reconnect_command
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.source import DAY
from ingest_assets.storage.held_deletions import held_by_account
from ingest_assets.storage.history import calls_by_sync
from ingest_assets.storage.inspecting import looking
from ingest_assets.storage.parts import first_open
from ingest_assets.storage.rejected import find_rejected
from ingest_assets.storage.schema import FAILING, NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.storage.writes import load_cursors

NAMED = 3  # lost parts of an account, a finding each
LITTLE = 0.1  # of a day's requests


def known(patient: Patient) -> Iterator[Finding]:
    """Check whether there is anything to look at."""
    with looking(patient.app.any_engine) as conn:
        if patient.workspace is not None and unknown_workspaces(conn, [patient.workspace]):
            yield cannot(
                f"There is no workspace {patient.workspace!r}: nobody connected it, or it was removed.",
                command="ingest-assets accounts",
            )
    if not patient.accounts:
        yield note("No account is connected that could be looked at.", command="ingest-assets connect --help")


def states(patient: Patient) -> Iterator[Finding]:
    """Check in which state accounts are, since when, and which are not fresh."""
    objective = timedelta(minutes=patient.app.core.freshness_minutes)
    for row in patient.accounts:
        if row.state != NEEDS_RECONNECT or patient.offline:  # else its login is tried, which tells more
            yield _state(row, patient.now, objective)


def _state(row: StoredRow, now: datetime, objective: timedelta) -> Finding:
    sync, reason = f"ingest-assets sync {row.source} --workspace {row.workspace_id}", row.reason or ""
    since = f"since {minute(row.state_since)} UTC"
    if row.state == PAUSED:
        return note(f"{who(row)} is paused {since}.", command=resume(row))
    if row.state == NEEDS_RECONNECT:
        return problem(f"{who(row)} needs a new login {since}: {first(reason)}", command=reconnect_command(row))
    if row.state == FAILING:
        return problem(f"{who(row)} fails {since}: {first(reason)}", command=resume(row))
    if row.attempts:
        times = f" {row.attempts} times in a row" if row.attempts > 1 else ""
        return problem(f"{who(row)} failed{times}: {first(reason)}", command=sync)
    if row.last_success_at is None:
        return problem(f"{who(row)} was never read to its end.", command=sync)
    if now - row.last_success_at > objective:
        last = minute(row.last_success_at)
        return problem(f"{who(row)} was last read completely at {last} UTC, which is too long ago.", command=sync)
    return fine(f"{who(row)} was read completely at {minute(row.last_success_at)} UTC.")


def parts(patient: Patient) -> Iterator[Finding]:
    """Check which parts of accounts cannot be read, or are lost."""
    accounts = {row.account_id: row for row in patient.accounts}
    with looking(patient.app.any_engine) as conn:
        unread = [part for part in first_open(conn, NAMED) if part.account_id in accounts]
    for part in unread:
        row = accounts[part.account_id]
        where = f"{row.source} --workspace {row.workspace_id} --name {quote(row.name)}"
        how = "is no longer listed" if part.left_at else f"cannot be read ({part.code})"
        do = f" {part.action}" if part.action else ""
        yield problem(
            f"{part.name} of {who(row)} {how} since {minute(part.since)} UTC.{do}",
            command=f"ingest-assets acknowledge {where} {quote(part.part)}",
        )
        if part.place == 1 and part.total > NAMED:
            yield problem(
                f"{many(part.total - NAMED, 'more part')} of {who(row)} cannot be read.",
                command=f"ingest-assets acknowledge {where}",
            )
    well = len(accounts.keys() - {part.account_id for part in unread})
    if well:
        yield fine(f"No part of {many(well, 'account')} is lost or unreadable.")


def waiting(patient: Patient) -> Iterator[Finding]:
    """Check what waits for a decision or for a newer parser."""
    accounts = {row.account_id: row for row in patient.accounts}
    with looking(patient.app.any_engine) as conn:
        held = [row for row in held_by_account(conn) if row.waiting and row.account_id in accounts]
        rejected = find_rejected(conn, workspace_id=patient.workspace, source=patient.source)
    for row in held:
        one = accounts[row.account_id]
        yield problem(
            f"The vendor no longer shows {many(row.waiting, 'row')} of {who(one)}, which wait for a decision.",
            command=f"ingest-assets deletions review --workspace {one.workspace_id} --source {one.source}",
        )
    aside: defaultdict[int, list[str]] = defaultdict(list)
    for item in rejected:
        aside[item.account_id].append(item.error)
    for account_id, errors in aside.items():
        one = accounts[account_id]
        yield problem(
            f"{many(len(errors), 'item')} of {who(one)} could not be parsed or stored ({errors[0]}).",
            command=f"ingest-assets rejected replay --workspace {one.workspace_id} --source {one.source}",
        )
    if not held and not aside:
        yield fine("Nothing waits for an operator's decision, and no item is set aside.")


def limits(patient: Patient) -> Iterator[Finding]:
    """Check which logins a vendor holds to less than usual, and what is left of a day's requests."""
    shared = {(row.source, row.external_id): row for row in reversed(patient.accounts)}
    with looking(patient.app.any_engine) as conn:
        for row in patient.accounts:
            cautions = BY_NAME[row.source].connector().cautions
            for caution in () if cautions is None else cautions(dict(load_cursors(conn, row.account_id))):
                yield note(f"{who(row)}: {caution}", action="Its page among the documents says what can be done.")
        for (name, external_id), row in shared.items():
            if (granted := _granted(patient, name)) is not None:
                calls = calls_by_sync(conn, name, external_id, patient.now - DAY)
                yield _left(row, granted - sum(count for _at, count in calls), granted)


def _granted(patient: Patient, name: str) -> int | None:
    source = BY_NAME[name]
    return None if source.daily_calls is None else source.daily_calls(patient.app.options_of(source))


def _left(row: StoredRow, left: int, granted: int) -> Finding:
    sentence = f"{max(0, left)} of {granted} requests of the last 24 hours are left for {who(row)}."
    if left > LITTLE * granted:
        return fine(sentence)
    return note(sentence, action="Syncs wait for more by themselves; less history costs less.")


def resume(row: StoredRow) -> str:
    """Return the command that has an account asked again."""
    return f"ingest-assets resume {row.source} --workspace {row.workspace_id} --name {quote(row.name)}"


def who(row: StoredRow) -> str:
    """Name an account in a sentence."""
    return f"{BY_NAME[row.source].title} account {row.name!r} of workspace {row.workspace_id}"


def first(sentences: str) -> str:
    """Return a reason without the sentence that says how to connect again, which the finding's command does."""
    kept = [one for one in sentences.split(". ") if "`ingest-assets connect" not in one]
    return f"{'. '.join(kept).rstrip('.')}." if kept else "see its history."


def minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
