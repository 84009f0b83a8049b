"""The list of people who were erased, as keyed hashes: nothing on it can be read, and every write honours it.

The key is random, made once and sealed like a credential: another key of INGEST_ENCRYPTION_KEYS seals it anew
(`rotate-keys`), and the hashes stay what they are. A copy of the database alone cannot be searched for an address.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import suppressed, suppression_keys
from ingest_assets.storage.vault import Vault

EVERYWHERE = ""  # in place of a workspace
KEY_BYTES = 32
DIGEST_BYTES = 16
LONGEST = 400  # characters of an address, an id or a name
REMEMBERED = 100_000  # values that were looked up; mail has a new message id each
CHUNK = 1_000  # rows a statement
_LIST = select(suppressed.c.digest).where(
    suppressed.c.workspace_id == func.any(bindparam("scopes")), suppressed.c.digest.is_not(None)
)


class People:
    """Erased people, as far as a hash tells."""

    def __init__(self, key: bytes, digests: Iterable[bytes] = ()) -> None:
        self._key, self._digests = key, set(digests)
        self._seen: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._digests)

    def digest(self, value: str) -> bytes:
        """Return the hash of an id, or of an address in any letter case, in angle brackets or not."""
        text = value.strip("<>").lower() if "@" in value else value
        return hmac.digest(self._key, text.encode(errors="replace"), "sha256")[:DIGEST_BYTES]

    def includes(self, value: str) -> bool:
        """Tell whether an id or an address is on the list."""
        found = self._seen.get(value)
        if found is None:
            if len(value) > LONGEST:
                return False
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            found = self._seen[value] = self.digest(value) in self._digests
        return found

    def add(self, values: Iterable[str]) -> None:
        """Put values on the list in memory."""
        self._digests |= {self.digest(value) for value in values}
        self._seen.clear()


NOBODY = People(b"")


def load_people(conn: Connection, vault: Vault, workspace_id: str) -> People:
    """Return who was erased from a workspace or from all. Raises ProcessFault where no key opens the list."""
    digests = conn.execute(_LIST, {"scopes": [EVERYWHERE, workspace_id]}).scalars().all()
    return People(_key(conn, vault), map(bytes, digests)) if digests else NOBODY


def _key(conn: Connection, vault: Vault) -> bytes:
    sealed = conn.execute(select(suppression_keys.c.key)).scalar_one()
    return bytes.fromhex(vault.open(sealed, who="the list of erased people")["key"])


def make_key(conn: Connection, vault: Vault) -> bytes:
    """Return the list's key; make it for the first person. Raises ProcessFault without INGEST_ENCRYPTION_KEYS."""
    fresh = {"key": vault.seal(secrets.token_hex(KEY_BYTES))}
    conn.execute(insert(suppression_keys).values(name="people", key=fresh).on_conflict_do_nothing())
    return _key(conn, vault)


def suppress(conn: Connection, people: People, scope: str, values: Iterable[str], *, erased: bool = False) -> None:
    """Put values on the list; `erased`: nothing that is stored has to be looked through for them."""
    rows = [{"workspace_id": scope, "digest": people.digest(value)} for value in sorted(set(values))]
    if not rows:
        return
    statement = insert(suppressed).values(erased_at=func.now() if erased else None)
    if erased:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(
            index_elements=list(suppressed.primary_key), set_={"erased_at": None}
        )
    for start in range(0, len(rows), CHUNK):
        conn.execute(statement, rows[start : start + CHUNK])


def listed_since(conn: Connection, people: People, scopes: Sequence[str], value: str) -> datetime | None:
    """Return since when a value stands on the list for one of some scopes."""
    where = (suppressed.c.workspace_id == func.any(list(scopes)), suppressed.c.digest == people.digest(value))
    return conn.execute(select(func.min(suppressed.c.since)).where(*where)).scalar()


def unfinished(conn: Connection, before: datetime) -> dict[str, list[bytes]]:
    """Return what was put on the list before a moment and was not looked for to the end, by scope."""
    found: dict[str, list[bytes]] = {}
    waiting = select(suppressed).where(suppressed.c.erased_at.is_(None), suppressed.c.since < before)
    for row in conn.execute(waiting.order_by(suppressed.c.workspace_id)):
        found.setdefault(row.workspace_id, []).append(bytes(row.digest))
    return found


def finish(conn: Connection, scope: str, digests: Sequence[bytes]) -> None:
    """Note that all that is stored was looked through for these."""
    conn.execute(
        update(suppressed)
        .where(suppressed.c.workspace_id == scope, suppressed.c.digest == func.any(list(digests)))
        .values(erased_at=func.now())
    )
