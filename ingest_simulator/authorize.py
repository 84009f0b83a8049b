"""The authorize pages as they are served, and the order that tells how they behave."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import Field
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_simulator.consent import Manner, page
from ingest_simulator.orders import Order, order
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend
from ingest_simulator.wire import Json


class AuthorizePage:
    """One vendor's page; `knows`: whether there is an app with a client id."""

    def __init__(
        self, simulator: Simulator, vendor: str, knows: Callable[[str], bool], *, separator: str = " "
    ) -> None:
        self._simulator, self._vendor, self._knows, self._separator = simulator, vendor, knows, separator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        simulator, now = self._simulator, self._simulator.clock.now()
        await attend(
            simulator,
            Wire(scope, receive, send),
            Asked(self._vendor, "authorize", None, dict(parse_qsl(query, keep_blank_values=True))),
            lambda _repeat: page(
                simulator.consents, self._vendor, query, self._knows, now, separator=self._separator
            ),
            lambda _fault: None,
        )


class SetConsent(Order):
    """What a vendor's pages do from now on."""

    vendor: str
    error: str | None = None
    state: str | None = None
    asks: bool = False
    expired: bool = False
    refresh_token: bool = True
    scopes: tuple[str, ...] | None = None
    redirect_urls: tuple[str, ...] | None = None
    extra: Annotated[dict[str, str], Field(default_factory=dict)]


def routes(simulator: Simulator) -> list[Route]:
    """Return the route under /_sim."""
    return [order(simulator, "/consent", SetConsent, _set_consent)]


def _set_consent(simulator: Simulator, wanted: SetConsent) -> Json:
    simulator.consents.manners[wanted.vendor] = Manner(**wanted.model_dump(exclude={"vendor"}))
    return {"ok": True}
