"""Erase a person: on the list first, then out of each workspace, then noted as done."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, Table

from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts, rename_account
from ingest_assets.storage.schema import DISCONNECTED, StoredRow
from ingest_assets.storage.suppressed import EVERYWHERE, KEY_BYTES, finish, load_people, unfinished
from ingest_assets.storage.vault import Vault
from ingest_assets.sync.erasing import Erasing
from ingest_assets.sync.person import Person, people_with, put_on_list

Features = Mapping[Table, Table]


@dataclass(frozen=True)
class Erased:
    """What was, or would be, changed in one workspace."""

    workspace_id: str
    counts: Counter[str]
    """Rows by table."""
    logins: Sequence[str] = ()
    """The person's own accounts that are still connected: their names, which are the address, stay."""
    own: bool = False
    """Whether any account is or was the person's own: Dagster's events name accounts."""


def erase(
    engine: Engine,
    vault: Vault,
    sources: Sequence[Source],
    features: Features,
    person: Person,
    *,
    workspace_id: str | None,
    write: bool,
) -> Iterator[Erased]:
    """Erase a person from a workspace, or from all and for all that will come; or only count.

    What was killed is done again by the same call, and at night by `finish_erasures`.
    """
    accounts = _accounts(engine, workspace_id)
    scope = EVERYWHERE if workspace_id is None else workspace_id
    if write:
        put_on_list(engine, vault, person, scope, [row.account_id for rows in accounts.values() for row in rows])
    key = secrets.token_bytes(KEY_BYTES)
    digests: list[bytes] = []
    for name, rows in accounts.items():
        people = people_with(engine, vault, person, name, key=key)
        work = Erasing(engine, sources, features, people, name, _owners(rows), person, write)
        counts, logins = work.run(), [row for row in rows if _is_login_of(row, person)]
        if write:
            _rename(engine, [row for row in logins if row.state == DISCONNECTED])
            with engine.begin() as conn:
                finish(conn, name, [people.digest(value) for value in work.also_called])
            digests = [people.digest(value) for value in person.keys]
        connected = [f"{row.source} account '{row.name}'" for row in logins if row.state != DISCONNECTED]
        yield Erased(name, counts, connected, own=bool(logins))
    if write:
        with engine.begin() as conn:
            finish(conn, scope, digests)


def finish_erasures(
    engine: Engine, vault: Vault, sources: Sequence[Source], features: Features, before: datetime
) -> Iterator[Erased]:
    """Look through what is stored for people who were put on the list before a moment; that reads every row."""
    with engine.connect() as conn:
        waiting = unfinished(conn, before)
    for name, rows in _accounts(engine, None).items() if waiting else ():
        if waiting.keys() & {name, EVERYWHERE}:
            with engine.connect() as conn:
                people = load_people(conn, vault, name)
            work = Erasing(engine, sources, features, people, name, _owners(rows), None, write=True)
            yield Erased(name, work.run())
            with engine.begin() as conn:
                finish(conn, name, [people.digest(value) for value in work.also_called])
    with engine.begin() as conn:
        for scope, digests in waiting.items():
            finish(conn, scope, digests)


def _accounts(engine: Engine, workspace_id: str | None) -> dict[str, list[StoredRow]]:
    """Return all accounts by workspace: what a disconnected one has read is still stored."""
    with engine.connect() as conn:
        wanted = None if workspace_id is None else [workspace_id]
        found: dict[str, list[StoredRow]] = {}
        for row in find_accounts(conn, workspace_ids=wanted, disconnected=True):
            found.setdefault(row.workspace_id, []).append(row)
    return found


def _owners(rows: Sequence[StoredRow]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row.account_id)
    return found


def _is_login_of(row: StoredRow, person: Person) -> bool:
    return person.email.lower() in (row.external_id.lower(), row.name.lower())


def _rename(engine: Engine, rows: Sequence[StoredRow]) -> None:
    for row in rows:
        with engine.begin() as conn:
            rename_account(conn, row.account_id, f"erased-{row.account_id}")
