"""Authorize pages and codes of the simulated vendors (RFC 6749, section 4.1; PKCE: RFC 7636).

A page redirects at once as if the user had pressed Allow, unless the order `consent` says otherwise. A code works
once, for ten minutes, with the redirect URL that it was given out for, and with the verifier of its challenge.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from secrets import compare_digest, token_urlsafe
from urllib.parse import parse_qsl, urlencode

from ingest_simulator.wire import HTML_TYPE, Answer

LIFETIME = 600.0  # seconds of a code


@dataclass(slots=True)
class Manner:
    """What a vendor's next pages do."""

    error: str | None = None
    """Redirect with this error instead of a code."""
    state: str | None = None
    """The state to send back instead of the one that came."""
    asks: bool = False
    """Show a page with Allow and Deny first."""
    expired: bool = False
    """Give out codes that are too old already."""
    refresh_token: bool = True
    """Whether the token endpoint gives a refresh token for a code."""
    scopes: tuple[str, ...] | None = None
    """What the user grants; None is all that was asked for."""
    redirect_urls: tuple[str, ...] | None = None
    """What is registered; None is anything."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the redirect."""


@dataclass(slots=True, frozen=True)
class Code:
    """A code that was given out."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None
    plain: bool
    given_at: float
    offline: bool
    refresh_token: bool
    user_scopes: tuple[str, ...]
    """What was asked for beside, of the user who grants it: Slack's `user_scope`."""


class CodeError(Exception):
    """The code is not taken; `args[0]` says what is wrong: code, redirect_uri or code_verifier."""


@dataclass(slots=True)
class Consents:
    """How the pages behave, and the codes that they gave out."""

    manners: dict[str, Manner] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)

    def manner(self, vendor: str) -> Manner:
        return self.manners.get(vendor, Manner())

    def redeem(self, code: str, client_id: str, given: Mapping[str, str], now: float) -> Code:
        """Take a code back. Raises CodeError."""
        known = self.codes.pop(code, None)
        if known is None or known.client_id != client_id or not 0 <= now - known.given_at < LIFETIME:
            raise CodeError("code")
        if given.get("redirect_uri") != known.redirect_uri:
            raise CodeError("redirect_uri")
        verifier = given.get("code_verifier", "")
        shown = verifier if known.plain else challenge_of(verifier)
        if known.challenge is not None and not compare_digest(shown, known.challenge):
            raise CodeError("code_verifier")
        return known


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def page(
    consents: Consents, vendor: str, query: str, knows: Callable[[str], bool], now: float, *, separator: str = " "
) -> Answer:
    """Answer a browser at a vendor's authorize page; `separator`: what stands between scopes."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    manner = consents.manner(vendor)
    redirect = asked.get("redirect_uri", "")
    if not knows(asked.get("client_id", "")):
        return _html("This app is not known.", 400)
    if not redirect or (manner.redirect_urls is not None and redirect not in manner.redirect_urls):
        return _html("The redirect URL is not registered.", 400)
    if asked.get("response_type", "code") != "code":
        return _redirect(redirect, {"error": "unsupported_response_type"}, asked, manner)
    if manner.asks and "decision" not in asked:
        links = (f"<a href='?{escape(query)}&amp;decision={one.lower()}'>{one}</a>" for one in ("Allow", "Deny"))
        return _html(f"{escape(vendor.title())} asks: may the app read your data? {' '.join(links)}", 200)
    if manner.error is not None or asked.get("decision") == "deny":
        return _redirect(redirect, {"error": manner.error or "access_denied"}, asked, manner)
    scopes = tuple(filter(None, asked.get("scope", "").split(separator)))
    code = token_urlsafe(24)
    consents.codes[code] = Code(
        asked["client_id"],
        redirect,
        scopes if manner.scopes is None else manner.scopes,
        asked.get("code_challenge"),
        asked.get("code_challenge_method", "plain") == "plain",
        now - (LIFETIME if manner.expired else 0),
        asked.get("access_type") == "offline",
        manner.refresh_token,
        tuple(filter(None, asked.get("user_scope", "").split(separator))),
    )
    return _redirect(redirect, {"code": code}, asked, manner)


def _redirect(url: str, answer: Mapping[str, str], asked: Mapping[str, str], manner: Manner) -> Answer:
    state = manner.state if manner.state is not None else asked.get("state")
    fields = {**answer, **manner.extra} | ({} if state is None else {"state": state})
    location = f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"
    return Answer(b"", 302, ((b"location", location.encode()), (b"cache-control", b"no-store")))


def _html(text: str, status: int) -> Answer:
    return Answer(f"<!DOCTYPE html><title>Sign in</title><p>{text}".encode(), status, (HTML_TYPE,))
