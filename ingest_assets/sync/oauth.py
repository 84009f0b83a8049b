"""Logins whose refresh tokens work once: refreshed under a row lock, stored before they are used.

Whoever wants a new pair locks the chain's row and reads it again: two workers that refresh at once refresh
once, and after a refresh that got no answer the next try begins with what the store holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine

from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.client.retry import retried
from ingest_assets.sources.in_flight import InFlight
from ingest_assets.sources.login import Clock, Login, TokenPair, Tokens
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.tokens import chain_of, delete_pairs, load_pair, save_pair
from ingest_assets.storage.vault import Vault

MARGIN = timedelta(minutes=2)  # a pair that expires sooner is replaced before it is used


@dataclass(frozen=True, kw_only=True)
class RotatingTokens:
    """One chain of pairs, kept in the database."""

    engine: Engine
    vault: Vault
    chain: str
    first_refresh_token: str
    exchange: Callable[[str], Awaitable[TokenPair]]
    clock: Clock
    probing: bool = False
    """Whether a login is being tried: a stored access token says nothing of the rest that was given."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Keeps requests of one sync from waiting for the row in as many threads, which the first may need."""

    async def current(self) -> TokenPair:
        pair = await asyncio.to_thread(self._load)
        if self.probing:
            return await retried(partial(self._refresh, pair), self.clock)
        if pair is not None and self._usable(pair, refused=None):
            return pair
        return await retried(partial(self._refresh, None), self.clock)

    async def after(self, refused: TokenPair) -> TokenPair:
        return await retried(partial(self._refresh, refused), self.clock)

    def _load(self) -> TokenPair | None:
        with self.engine.connect() as conn:
            return _parsed(load_pair(conn, self.vault, self.chain))

    async def _refresh(self, refused: TokenPair | None) -> TokenPair:
        self.vault.require_key()
        async with self._turn:
            refreshing = asyncio.create_task(self._refresh_alone(refused))
            try:
                return await asyncio.shield(refreshing)
            except asyncio.CancelledError:
                # the reader left, but what the vendor gives now must be stored
                await asyncio.gather(refreshing, return_exceptions=True)
                raise

    async def _refresh_alone(self, refused: TokenPair | None) -> TokenPair:
        with self.engine.begin() as conn:  # held while the vendor answers: the others wait for this very answer
            stored = await asyncio.to_thread(load_pair, conn, self.vault, self.chain, lock=True)
            pair = _parsed(stored)
            if pair is not None and self._usable(pair, refused):
                return pair
            spent = self.first_refresh_token if pair is None else pair.refresh_token
            pair = await self.exchange(spent)
            await asyncio.to_thread(save_pair, conn, self.vault, self.chain, _packed(pair))
        return pair

    def _usable(self, pair: TokenPair, refused: TokenPair | None) -> bool:
        known_bad = refused is not None and pair.access_token == refused.access_token
        return not known_bad and pair.lasts(self.clock.now(), MARGIN)


def login_of(source: Source, row: StoredRow, options: Any, *, engine: Engine, vault: Vault) -> Login:
    """Return the login of a row of `ingest.accounts`. Raises ProcessFault for one that cannot be opened here."""
    who = f"account {row.name!r} of workspace {row.workspace_id}"
    login = Login(
        credential=source.credential.model_validate(vault.open(row.credential, who=who)),
        settings=source.settings.model_validate(row.settings),
        options=options,
    )
    return replace(login, tokens=tokens_of(source, login, engine=engine, vault=vault))


def tokens_of(
    source: Source, login: Login, *, engine: Engine, vault: Vault, probing: bool = False
) -> Tokens | None:
    """Return the login's chain of pairs; None where it has none, or where it may be kept in memory as well."""
    first = login.credential.first_token()
    exchange = source.connector().exchange
    if first is None or exchange is None or not (vault.keys or login.credential.single_use):
        return None
    apart = replace(login, in_flight=InFlight())  # also after a stop: `RotatingTokens` waits for its answer
    return RotatingTokens(
        engine=engine,
        vault=vault,
        chain=chain_of(source.name, first),
        first_refresh_token=first,
        exchange=partial(exchange, apart),
        clock=login.clock,
        probing=probing,
    )


def forget_pairs(conn: Connection, vault: Vault, before: Sequence[StoredRow]) -> None:
    """Delete the pairs of logins that no account has any more; `before`: accounts as they were with them."""
    for name in {row.source for row in before}:
        try:
            chains = {_chain(row, vault) for row in before if row.source == name} - {None}
            if chains:
                chains -= {_chain(row, vault) for row in find_accounts(conn, source=name)}
        except (IngestError, ValidationError):
            continue  # a login that cannot be read here may go on with the same pair
        delete_pairs(conn, sorted(filter(None, chains)))


def _chain(row: StoredRow, vault: Vault) -> str | None:
    """Return the chain of an account, if its login has one. Raises IngestError for a login that cannot be read."""
    opened = vault.open(row.credential, who=row.name)
    first = BY_NAME[row.source].credential.model_validate(opened).first_token()
    return None if first is None else chain_of(row.source, first)


def _packed(pair: TokenPair) -> dict[str, str | None]:
    return asdict(pair) | {"expires_at": None if pair.expires_at is None else pair.expires_at.isoformat()}


def _parsed(stored: dict[str, str | None] | None) -> TokenPair | None:
    if stored is None:
        return None
    expires_at = stored["expires_at"]
    return TokenPair(
        access_token=str(stored["access_token"]),
        refresh_token=str(stored["refresh_token"]),
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        base_url=stored["base_url"],
    )
