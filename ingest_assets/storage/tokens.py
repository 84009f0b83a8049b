"""Pairs of tokens that replace each other: a refresh token that works once, and the access token it bought.

A chain is named after the refresh token that the login began with, so a login may be kept as the name of a
variable and still outlive the value in it.
"""

import hashlib
from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.storage.schema import token_pairs
from ingest_assets.storage.vault import Vault

CHAIN_BYTES = 16


def chain_of(source: str, refresh_token: str) -> str:
    """Return a chain's name, which does not tell its token."""
    return hashlib.blake2b(f"{source}\0{refresh_token}".encode(), digest_size=CHAIN_BYTES).hexdigest()


def load_pair(conn: Connection, vault: Vault, chain: str, *, lock: bool = False) -> dict[str, str | None] | None:
    """Return the newest pair, if there was a refresh; `lock` holds the row until the transaction ends."""
    if lock:
        conn.execute(insert(token_pairs).values(chain=chain).on_conflict_do_nothing())
    query = select(token_pairs.c.pair).where(token_pairs.c.chain == chain)
    stored = conn.execute(query.with_for_update() if lock else query).scalar()
    if stored is None:
        return None
    pair: dict[str, str | None] = orjson.loads(vault.open({"pair": stored}, who="a rotating login")["pair"])
    return pair


def save_pair(conn: Connection, vault: Vault, chain: str, pair: dict[str, str | None]) -> None:
    """Replace a pair whose row is locked."""
    conn.execute(
        update(token_pairs)
        .where(token_pairs.c.chain == chain)
        .values(pair=vault.seal(orjson.dumps(pair).decode()), refreshed_at=func.now())
    )


def delete_pairs(conn: Connection, chains: Sequence[str]) -> None:
    conn.execute(delete(token_pairs).where(token_pairs.c.chain == func.any(list(chains))))
