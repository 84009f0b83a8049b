"""Login by browser: a user grants access at the vendor, which sends us a code (RFC 6749, 4.1; RFC 8252)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ingest_assets.sources.login import Credential, Login, O, S

REGISTERED = "https://localhost/ingest-assets"
"""Where a vendor redirects to that takes only https: nobody answers there, and the address is pasted."""


@dataclass(frozen=True, kw_only=True)
class Consent(Login[Credential, S, O]):
    """One login by browser: what its two requests are made of."""

    credential: Credential = field(default_factory=Credential)
    """None yet."""
    client_id: str
    client_secret: str = field(repr=False)
    redirect_url: str
    state: str = field(repr=False)
    """What the redirect must carry, so that no other one is taken for the answer."""
    verifier: str = field(repr=False)
    """The secret of PKCE (RFC 7636), for the vendors that take it."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """An app that was registered with the vendor."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_urls: Sequence[str] = ()
    """Those that it may be redirected to; none where any port of this machine will do."""


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What a code was exchanged for."""

    secrets: Mapping[str, str] = field(repr=False)
    """Fields of the credential."""
    with_app: bool = True
    """Whether the login needs the app's id and secret later on, to refresh its tokens."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The account's settings that the vendor told."""


@dataclass(frozen=True, kw_only=True)
class Authorize:
    """How a vendor's users grant access in the browser."""

    address: Callable[[Consent[Any, Any]], str]
    """Where the browser begins."""
    exchange: Callable[[Consent[Any, Any], str], Awaitable[Granted]]
    """(login, code) -> what it is worth, in one request; raises SourceError."""
    loopback: bool = False
    """Whether the vendor lets apps redirect to plain http on the user's own machine (RFC 8252, section 7.3)."""


def authorize_address(url: str, consent: Consent[Any, Any], scopes: str) -> str:
    """Return the address of a vendor's authorize page with the parameters of RFC 6749, section 4.1.1."""
    parts = urlsplit(url)
    asked = {
        "response_type": "code",
        "client_id": consent.client_id,
        "redirect_uri": consent.redirect_url,
        "scope": scopes,
        "state": consent.state,
    }
    query = urlencode([*parse_qsl(parts.query), *asked.items()])
    return urlunsplit(parts._replace(query=query, fragment=""))
