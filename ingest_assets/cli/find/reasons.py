"""Why an item is not stored, as far as one account's settings, cursors and refusals tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Any

from ingest_assets.app import App
from ingest_assets.cli.doctor.accounts import first, resume, who
from ingest_assets.cli.find.places import minute
from ingest_assets.cli.reconnecting import reconnect_command
from ingest_assets.errors import ProcessFault
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.locating import Covered, Sought
from ingest_assets.storage.coverage import COVERED, NO_GAPS, find_coverage
from ingest_assets.storage.finding import set_aside, unreadable
from ingest_assets.storage.inspecting import looking
from ingest_assets.storage.schema import FAILING, NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.storage.suppressed import load_people
from ingest_assets.storage.writes import load_cursors

MOST = 10  # gaps of an account
LEFT_OUT, PENDING, HELD = "left out", "pending", "held"  # as the view of coverage has them


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an item is not here, or may not be."""

    state: str
    source: str
    account: str
    sentence: str
    command: str | None = None
    action: str | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One item that is not stored, and one account that it may belong to."""

    app: App
    row: StoredRow
    sought: Sought
    now: datetime
    at: datetime | None
    """When it was said, as its id or the vendor tells."""
    shown: bool = False
    """Whether the vendor shows it now."""

    @property
    def sync(self) -> str:
        return f"ingest-assets sync {self.row.source} --workspace {self.row.workspace_id}"

    def reason(
        self, state: str, sentence: str, *, command: str | None = None, action: str | None = None
    ) -> Reason:
        return Reason(
            state=state,
            source=self.row.source,
            account=self.row.name,
            sentence=f"{who(self.row)}: {sentence}",
            command=command,
            action=action,
        )


def known(case: Case) -> list[Reason]:
    """Return what is known for sure."""
    return [*_refused(case), *_erased(case), *_unread(case), *_state(case)]


def _refused(case: Case) -> Iterator[Reason]:
    """Tell whether it was set aside, or its part cannot be read."""
    sought, row = case.sought, case.row
    with looking(case.app.engine) as conn:
        rejected = set_aside(conn, row.account_id, sought.record.table, sought.value, ends=sought.column == "ts")
        parts = unreadable(conn, row.account_id, [sought.value, *([sought.part] if sought.part else [])])
    for item in rejected:
        yield case.reason(
            "rejected",
            f"it was set aside at {minute(item.first_seen_at)} UTC, since it could not be stored ({item.error}).",
            command=f"ingest-assets rejected replay {quote(item.item_key)} --workspace {row.workspace_id}",
        )
    for part in parts:
        how = "is no longer listed" if part.left_at else f"cannot be read ({part.code})"
        yield case.reason(
            "unreadable",
            f"{part.name} {how} since {minute(part.since)} UTC.",
            action=part.action or "It is asked for again by itself.",
        )


def _erased(case: Case) -> Iterator[Reason]:
    """Tell whether it stands on the list of erased people; whoever has the keys may ask that anyway."""
    try:
        with looking(case.app.engine) as conn:
            people = load_people(conn, case.app.vault, case.row.workspace_id)
    except ProcessFault:
        return
    if people and people.includes(case.sought.value):
        yield case.reason("erased", "it is of a person who was erased.", action="It does not come back.")


def _unread(case: Case) -> Iterator[Reason]:
    """Tell whether it lies outside what was read, or what is kept."""
    row, sought, source = case.row, case.sought, BY_NAME[case.row.source]
    with looking(case.app.engine) as conn:
        cursors: dict[str, Any] = dict(load_cursors(conn, row.account_id))
    kept = source.settings.model_validate(row.settings).kept_since(case.app.options_of(source), case.now)
    if case.at is not None and kept is not None and case.at < kept:
        yield case.reason(
            "outside retention",
            f"it is older than what is kept, which begins at {minute(kept)} UTC.",
            action=f"Raise {source.options.prefix}_KEEP_DAYS, or the account's own --keep-days.",
        )
        return
    find = source.connector().covered
    covered = None if find is None else find(cursors, sought)
    if covered is not None:
        yield from _of_time(case, covered)
    elif not cursors:
        yield case.reason("not read", "nothing of it was ever read.", command=case.sync)
    elif sought.part is not None:
        yield _of_part(case, sought.part)


def _of_time(case: Case, covered: Covered) -> Iterator[Reason]:
    if case.at is None:
        return
    if case.at < covered.since:
        day = f"{case.at:%Y-%m-%d}"
        yield case.reason(
            "outside history",
            f"it is of {minute(case.at)} UTC, before the history that was read, which begins at "
            f"{minute(covered.since)} UTC.",
            command=f"ingest-assets backfill --workspace {case.row.workspace_id} --source {case.row.source} "
            f"--from {day}",
        )
    elif covered.until is not None and case.at > covered.until:
        sentence = f"it is of {minute(case.at)} UTC, and was read up to {minute(covered.until)} UTC so far."
        yield case.reason("not read", sentence, command=case.sync)
    elif any(since <= case.at <= until for since, until in covered.unread):
        sentence = f"what was said at {minute(case.at)} UTC was not read to its end yet."
        yield case.reason("not read", sentence, command=case.sync)
    elif not case.shown:
        name = BY_NAME[case.row.source].title
        yield case.reason(
            "not shown",
            f"that time was read completely, as of {minute(covered.until or case.row.last_success_at)} UTC, and "
            f"{name} showed no such item.",
            command=f"ingest-assets verify --workspace {case.row.workspace_id} --source {case.row.source}",
        )


def _of_part(case: Case, part: str) -> Reason:
    """Tell why a part, a channel, is not among those that are read."""
    chosen = case.row.settings.get("channels") or ()
    if chosen and part not in chosen:
        return case.reason(
            LEFT_OUT,
            f"{part} is not among the channels that the account was told to read.",
            command=reconnect_command(case.row, channels=(*chosen, part)),
        )
    return case.reason(
        "not visible",
        f"{part} is no channel that the bot is in, as of {minute(case.row.last_success_at) or 'never'} UTC.",
        action="Invite the bot to the channel, if it is one of this team's.",
    )


def _state(case: Case) -> Iterator[Reason]:
    """Tell whether the account is read at all."""
    row = case.row
    if row.state == NEEDS_RECONNECT:
        yield case.reason(
            "reconnect", f"it needs a new login: {first(row.reason or '')}", command=reconnect_command(row)
        )
    elif row.state == PAUSED:
        yield case.reason("paused", f"it is paused since {minute(row.state_since)} UTC.", command=resume(row))
    elif row.state == FAILING:
        yield case.reason("failing", f"it fails: {first(row.reason or '')}", command=resume(row))


def gaps(app: App, row: StoredRow, *, by_id: bool = False) -> list[Reason]:
    """Return what is missing of an account or left out, among which an item may be, and what was read.

    `by_id`: an item that waits for its transcript, or for a decision, would have been found.
    """
    stored = {PENDING, HELD} if by_id else set()
    with looking(app.engine) as conn:
        found = [one for one in find_coverage(conn, row.workspace_id, row.source) if one.account == row.name]
    reasons = [
        _gap(row, one.state, f"it may be among what is {one.state} of {one.part}: {one.reason}.")
        for one in found
        if one.state not in NO_GAPS | stored or one.state == LEFT_OUT
    ][:MOST]
    read = [one for one in found if one.state == COVERED]
    if read:
        first_of, last_of = min(one.range_from for one in read), max(one.range_to for one in read)
        sentence = f"what was read is of {minute(first_of)} to {minute(last_of)} UTC; what is older is not here."
        reasons.append(_gap(row, "outside history", sentence))
    return reasons


def _gap(row: StoredRow, state: str, sentence: str) -> Reason:
    command = f"ingest-assets coverage --workspace {row.workspace_id} --source {row.source}"
    sentence = f"{who(row)}: {sentence.replace('..', '.')}"
    return Reason(state=state, source=row.source, account=row.name, sentence=sentence, command=command)
