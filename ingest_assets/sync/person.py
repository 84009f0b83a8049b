"""A person, by address: how rows that may hold them are found, and how they get on the list."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from ingest_assets.errors import IngestError
from ingest_assets.sources.addresses import name_key
from ingest_assets.storage.account_leases import take_away
from ingest_assets.storage.suppressed import People, load_people, make_key, suppress
from ingest_assets.storage.vault import Vault

ADDRESS = re.compile(r"[^\s<>@,;]{1,64}@[^\s<>@,;]{1,200}\.[^\s<>@,;.]{1,63}")


@dataclass(frozen=True)
class Person:
    """An address, in any letter case, and the names under which transcripts know the same person without one."""

    email: str
    names: Sequence[str] = ()

    @classmethod
    def named(cls, email: str, names: Sequence[str]) -> "Person":
        """Check what a user gave. Raises IngestError."""
        email = email.strip()
        if not ADDRESS.fullmatch(email):
            raise IngestError("That is no mail address; give one like ada@acme.example.")
        if any(len(name.split()) < 2 for name in names):
            raise IngestError("Give a full name with --name: one word names too many people.")
        return cls(email, tuple(names))

    @property
    def keys(self) -> list[str]:
        """Return what stands on the list for the person."""
        return [self.email, *map(name_key, self.names)]

    @property
    def exact_pattern(self) -> str:
        """Return a regular expression of PostgreSQL's for the address and no longer one."""
        return rf"(?<![\w.+-]){re.escape(self.email)}(?![\w-])"

    def pattern(self, ids: Iterable[str] = ()) -> str:
        """Return one for whatever may hold the person, and perhaps more."""
        names = [r"\s+".join(map(re.escape, name.split())) for name in self.names]
        address = re.escape(self.email).replace("@", "(@|%40)")
        return "|".join([address, *names, *map(re.escape, sorted(ids))])


def put_on_list(engine: Engine, vault: Vault, person: Person, scope: str, account_ids: Sequence[int]) -> None:
    """Put a person on the list, then end the syncs under way, which know an older one.

    Whoever begins afterwards reads the list with the person on it. Raises ProcessFault without a key.
    """
    with engine.begin() as conn:
        people = People(make_key(conn, vault))
        suppress(conn, people, scope, person.keys)
    for account_id in account_ids:
        with engine.begin() as conn:  # each for itself: a page of one that is being committed holds up no other
            take_away(conn, account_id)


def people_with(engine: Engine, vault: Vault, person: Person, workspace_id: str, *, key: bytes) -> People:
    """Return who is on a workspace's list, and the person, who may not be on it."""
    with engine.connect() as conn:
        listed = load_people(conn, vault, workspace_id)
    people = listed if listed else People(key)
    people.add(person.keys)
    return people
