"""Credentials at rest: encrypted with keys from the environment, or only the name of a variable.

A stored credential is `{field: {"sealed": token} | {"env": name} | {"plain": value}}`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, select, update

from ingest_assets.errors import ProcessFault
from ingest_assets.storage.schema import Columns, ColumnsView, accounts, suppression_keys, token_pairs

NO_KEY = (
    "INGEST_ENCRYPTION_KEYS is not set, so no credential can be stored; make a key with "
    "`ingest-assets new-key`, keep it safe, and export it as INGEST_ENCRYPTION_KEYS "
    "(or pass the credential as env:NAME, which stores only the name)."
)


def new_key() -> str:
    """Make an encryption key."""
    return Fernet.generate_key().decode()


@dataclass(frozen=True)
class Vault:
    """Seals and opens credentials. The first key seals; all of them open."""

    keys: tuple[str, ...] = ()

    @classmethod
    def from_setting(cls, value: str | None) -> "Vault":
        """Parse INGEST_ENCRYPTION_KEYS. Raises ProcessFault for what is not a key."""
        vault = cls(tuple(key.strip() for key in (value or "").split(",") if key.strip()))
        try:
            for key in vault.keys:
                Fernet(key)
        except ValueError:
            raise ProcessFault(
                "INGEST_ENCRYPTION_KEYS holds something that is not a key; make one with `ingest-assets new-key`."
            ) from None
        return vault

    def require_key(self) -> None:
        """Raise ProcessFault when there is no key."""
        if not self.keys:
            raise ProcessFault(NO_KEY)

    def seal(self, value: str) -> dict[str, str]:
        """Encrypt one value. Raises ProcessFault when there is no key."""
        self.require_key()
        return {"sealed": self._fernet().encrypt(value.encode()).decode()}

    def open(self, stored: ColumnsView, *, who: str) -> Columns:
        """Return a credential's fields in the clear. Raises ProcessFault when one cannot be read here."""
        return {field: self._open(field, entry, who) for field, entry in stored.items()}

    def _open(self, field: str, entry: ColumnsView, who: str) -> Any:
        if "env" in entry:
            value = os.environ.get(entry["env"])
            if not value:
                raise ProcessFault(
                    f"The {field} of {who} is kept in the variable {entry['env']}, which is not set here; set it "
                    "for the process that syncs."
                )
            return value
        if "plain" in entry:
            return entry["plain"]
        if not self.keys:
            raise ProcessFault(f"The {field} of {who} is encrypted and INGEST_ENCRYPTION_KEYS is not set here.")
        try:
            return self._fernet().decrypt(entry["sealed"]).decode()
        except InvalidToken:
            raise ProcessFault(
                f"The {field} of {who} was encrypted with a key that INGEST_ENCRYPTION_KEYS does not hold here; "
                "set it as where the account was connected, with an old key behind the new one."
            ) from None

    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])

    def rotate(self, conn: Connection) -> int:
        """Encrypt all stored credentials anew with the first key; return how many values there were."""
        count = 0
        for row in conn.execute(select(accounts.c.account_id, accounts.c.credential).with_for_update()).all():
            fresh = {
                field: self.seal(self._open(field, entry, f"account {row.account_id}"))
                if "sealed" in entry
                else entry
                for field, entry in row.credential.items()
            }
            count += sum("sealed" in entry for entry in fresh.values())
            conn.execute(update(accounts).where(accounts.c.account_id == row.account_id).values(credential=fresh))
        held = token_pairs.c.pair.is_not(None)
        for row in conn.execute(
            select(token_pairs.c.chain, token_pairs.c.pair).where(held).with_for_update()
        ).all():
            pair = self.seal(self._open("token", row.pair, "a rotating login"))
            conn.execute(update(token_pairs).where(token_pairs.c.chain == row.chain).values(pair=pair))
            count += 1
        for row in conn.execute(select(suppression_keys).with_for_update()).all():
            fresh = {name: self.seal(value) for name, value in self.open(row.key, who="the list").items()}
            same = suppression_keys.c.name == row.name
            conn.execute(update(suppression_keys).where(same).values(key=fresh))
            count += 1
        return count


def sealed_elsewhere(conn: Connection) -> Iterator[tuple[str, ColumnsView]]:
    """Yield what is sealed beside the accounts' credentials, with what it is."""
    for pair in conn.execute(select(token_pairs.c.pair).where(token_pairs.c.pair.is_not(None))).scalars():
        yield "a rotating login", pair
    for key in conn.execute(select(suppression_keys.c.key)).scalars():
        yield from (("the list of erased people", value) for value in key.values())
