"""The access token in use, replaced once when the vendor refuses it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ingest_assets.errors import TokenRefused
from ingest_assets.sources.login import TokenPair, Tokens

Result = TypeVar("Result")


class Session:
    """Sends with the newest token of a login. Without `tokens` the credential is all that it takes."""

    def __init__(self, tokens: Tokens | None, put: Callable[[TokenPair], None]) -> None:
        """`put`: puts a pair's access token into the requests that follow."""
        self._tokens = tokens
        self._put = put
        self._pair: TokenPair | None = None
        self._turn = asyncio.Lock()

    async def begin(self) -> TokenPair | None:
        """Use the login's newest pair; None where the credential is all that it takes."""
        if self._tokens is not None:
            self.use(await self._tokens.current())
        return self._pair

    def use(self, pair: TokenPair) -> None:
        """Send a pair's access token from now on."""
        self._pair = pair
        self._put(pair)

    async def send(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a request, once more with a new token where the vendor refuses the old one."""
        pair = self._pair
        try:
            return await call()
        except TokenRefused:
            if self._tokens is None or pair is None:
                raise
            async with self._turn:
                if pair is self._pair:  # else another request has brought a new one meanwhile
                    self.use(await self._tokens.after(pair))
        return await call()
